package main

import (
	"fmt"
	"math"
	"strings"
)

// The picture has two panels over one logarithmic axis of offered load. All numbers are user units of the SVG.
const (
	width, height = 760, 620
	left, right   = 70, 30
	goodTop       = 60
	goodBottom    = 290
	lateTop       = 350
	lateBottom    = 560
)

// panel maps values to vertical coordinates.
type panel struct {
	top, bottom float64
	low, high   float64 // the range of values
	logarithmic bool
}

func (p panel) y(v float64) float64 {
	low, high := p.low, p.high
	if p.logarithmic {
		v, low, high = math.Log10(max(v, p.low)), math.Log10(p.low), math.Log10(p.high)
	}
	return p.bottom - (min(v, high)-low)/(high-low)*(p.bottom-p.top)
}

// x maps a share of the capacity, 0.1 to 10, to a horizontal coordinate.
func x(share float64) float64 {
	return left + (math.Log10(share)+1)/2*(width-left-right)
}

const style = `text{fill:#24313d}.axis{stroke:#c9d3db;stroke-width:1}.line{fill:none;stroke-width:2}` +
	`.a{stroke:#0b6e99;fill:#0b6e99}.b{stroke:#c4521b;fill:#c4521b}.c{stroke:#7a4fb5;fill:#7a4fb5}` +
	`.d{stroke:#8b99a5;fill:#8b99a5;stroke-dasharray:4 4}`

// picture draws goodput and latency over the offered load as SVG.
func (r *sweepReport) picture() string {
	var to strings.Builder
	fmt.Fprintf(&to, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="%s" font-size="12">
<style>%s</style>
<rect width="%d" height="%d" fill="#ffffff"/>
`, width, height, "system-ui,sans-serif", style, width, height)
	title := fmt.Sprintf("Offered load from 0.1 to 10 times the capacity of %.0f sales a second", r.Capacity)
	text(&to, left, 26, "start", 16, title)
	good := panel{top: goodTop, bottom: goodBottom, low: 0, high: 1.25 * r.Capacity}
	late := panel{top: lateTop, bottom: lateBottom, low: 0.1, high: 1, logarithmic: true}
	for _, m := range r.Loads {
		good.high = max(good.high, 1.1*m.Goodput)
		for late.high < max(m.Accepted.P999, m.Accepted.P99) {
			late.high *= 10
		}
	}
	text(&to, left, goodTop-10, "start", 13, "Goodput, sales a second (dashed: the offered load, up to the capacity)")
	for i := range 6 {
		v := good.high / 5 * float64(i)
		grid(&to, good.y(v), fmt.Sprintf("%.0f", v))
	}
	text(&to, left, lateTop-30, "start", 13, "Latency of accepted requests, from the scheduled time, ms")
	for v := late.low; v <= late.high*1.01; v *= 10 {
		grid(&to, late.y(v), fmt.Sprintf("%g", v))
	}
	for _, share := range []float64{0.1, 0.2, 0.5, 1, 2, 5, 10} {
		for _, p := range []panel{good, late} {
			segment(&to, "axis", x(share), x(share), p.top, p.bottom)
		}
		text(&to, x(share), lateBottom+20, "middle", 12, fmt.Sprintf("%g×", share))
	}
	text(&to, (left+width-right)/2, lateBottom+42, "middle", 12, "offered load, times the capacity")
	r.line(&to, "d", good, func(share float64, _ *measurement) float64 { return min(share, 1) * r.Capacity })
	r.line(&to, "a", good, func(_ float64, m *measurement) float64 { return m.Goodput })
	r.line(&to, "a", late, func(_ float64, m *measurement) float64 { return m.Accepted.P50 })
	r.line(&to, "b", late, func(_ float64, m *measurement) float64 { return m.Accepted.P99 })
	r.line(&to, "c", late, func(_ float64, m *measurement) float64 { return m.Accepted.P999 })
	for i, name := range []string{"median", "99th percentile", "99.9th percentile"} {
		at := float64(left + 130*i)
		segment(&to, "line "+string("abc"[i]), at, at+18, lateTop-14, lateTop-14)
		text(&to, at+24, lateTop-10, "start", 12, name)
	}
	to.WriteString("</svg>\n")
	return to.String()
}

// line draws one value of each load as a polyline, with a dot for each load unless it is dashed.
func (r *sweepReport) line(to *strings.Builder, class string, p panel, value func(float64, *measurement) float64) {
	var points []string
	for i, share := range r.Shares {
		points = append(points, fmt.Sprintf("%.1f,%.1f", x(share), p.y(value(share, r.Loads[i]))))
	}
	fmt.Fprintf(to, `<polyline class="line %s" style="fill:none" points="%s"/>`+"\n", class, strings.Join(points, " "))
	if class == "d" {
		return
	}
	for _, point := range points {
		at, y, _ := strings.Cut(point, ",")
		fmt.Fprintf(to, `<circle class="%s" cx="%s" cy="%s" r="2.5"/>`+"\n", class, at, y)
	}
}

func grid(to *strings.Builder, y float64, label string) {
	segment(to, "axis", left, width-right, y, y)
	text(to, left-8, y+4, "end", 11, label)
}

func segment(to *strings.Builder, class string, x1, x2, y1, y2 float64) {
	fmt.Fprintf(to, `<line class="%s" x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f"/>`+"\n", class, x1, x2, y1, y2)
}

func text(to *strings.Builder, x, y float64, anchor string, size int, what string) {
	fmt.Fprintf(to, `<text x="%.1f" y="%.1f" text-anchor="%s" font-size="%d">%s</text>`+"\n", x, y, anchor, size, what)
}
