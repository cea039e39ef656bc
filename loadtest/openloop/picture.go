package main

import (
	"fmt"
	"math"
	"strings"

	"github.com/dustin/go-humanize"
)

// The picture has two panels over one logarithmic axis of offered load. All numbers are user units of the SVG.
const (
	width, height = 760, 740
	left, right   = 70, 30
	goodTop       = 84
	goodBottom    = 310
	lateTop       = 350
	lateBottom    = 580
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
	`.a{stroke:#0b6e99}.b{stroke:#c4521b}.c{stroke:#7a4fb5}.d{stroke:#2f7d4f}.e{stroke:#a0841c}` +
	`.open{stroke-dasharray:5 4}`

// lineClasses are the classes of the clients' lines.
var lineClasses = map[string]string{"kept": "a", "new": "b", "tls-kept": "c", "tls-new": "d", "tls-resumed": "e"}

// picture draws goodput and latency of each client over the offered load as SVG.
func (r *sweepReport) picture() string {
	var to strings.Builder
	fmt.Fprintf(&to, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="%s" font-size="12">
<style>%s</style>
<rect width="%d" height="%d" fill="#ffffff"/>
`, width, height, "system-ui,sans-serif", style, width, height)
	text(&to, left, 26, "start", 16, fmt.Sprintf("%s ordinary connections, one request at a time on each",
		humanize.Comma(int64(r.Connections))))
	text(&to, left, 46, "start", 12,
		"solid: closed loop, dashed: open loop; each over multiples of its own client's capacity")
	good := panel{top: goodTop, bottom: goodBottom, low: 0, high: 1}
	late := panel{top: lateTop, bottom: lateBottom, low: 1, high: 10, logarithmic: true}
	for _, s := range r.Series {
		good.high = max(good.high, 1.1*s.peak())
		for _, m := range s.Loads {
			for late.high < m.Accepted[reserving.String()].P99 {
				late.high *= 10
			}
		}
	}
	text(&to, left, goodTop-10, "start", 13, "Goodput, sales a second")
	for i := range 6 {
		v := good.high / 5 * float64(i)
		grid(&to, good.y(v), fmt.Sprintf("%.0f", v))
	}
	text(&to, left, lateTop-10, "start", 13, "99th percentile of accepted reservations, from the moment they were due, ms")
	for v := late.low; v <= late.high*1.01; v *= 10 {
		grid(&to, late.y(v), fmt.Sprintf("%g", v))
	}
	for _, share := range shares {
		for _, p := range []panel{good, late} {
			segment(&to, "axis", x(share), x(share), p.top, p.bottom)
		}
		text(&to, x(share), lateBottom+20, "middle", 12, fmt.Sprintf("%g×", share))
	}
	text(&to, (left+width-right)/2, lateBottom+42, "middle", 12, "offered load, times the capacity")
	for i, s := range r.Series {
		s.draw(&to, good, func(m *measurement) float64 { return m.Goodput })
		s.draw(&to, late, func(m *measurement) float64 { return m.Accepted[reserving.String()].P99 })
		if !s.Open {
			y := float64(lateBottom + 66 + 18*(i/2))
			segment(&to, "line "+lineClasses[s.Name], left, left+18, y-4, y-4)
			text(&to, left+24, y, "start", 12, fmt.Sprintf("%s: capacity %.0f sales a second", clientNames[s.Name], s.Capacity))
		}
	}
	to.WriteString("</svg>\n")
	return to.String()
}

// draw draws one value of each load as a polyline.
func (s *series) draw(to *strings.Builder, p panel, value func(*measurement) float64) {
	var points []string
	for i, share := range s.Shares {
		points = append(points, fmt.Sprintf("%.1f,%.1f", x(share), p.y(value(s.Loads[i]))))
	}
	class := "line " + lineClasses[s.Name]
	if s.Open {
		class += " open"
	}
	fmt.Fprintf(to, `<polyline class="%s" points="%s"/>`+"\n", class, strings.Join(points, " "))
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
