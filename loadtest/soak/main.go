package main

import (
	"fmt"
	"os"
	"strconv"
	"time"
)

func main() {
	holds, _ := strconv.ParseFloat(os.Args[1], 64)
	rows, _ := strconv.ParseFloat(os.Args[2], 64)
	s, err := newSoak(int(rows))
	if err != nil {
		panic(err)
	}
	began := time.Now()
	err = s.run(uint64(holds), 1_000_000, func(done uint64, ends [fates]uint64) error {
		found, _ := s.census.Pools(func() bool { return true })
		b, _ := os.ReadFile("/proc/self/status")
		rss := ""
		for _, l := range splitLines(string(b)) {
			if len(l) > 6 && l[:6] == "VmRSS:" {
				rss = l
			}
		}
		fmt.Println(done, time.Since(began).Round(time.Second), rss, "census", found.Difference, "rows", s.v.Fills(), "freed", s.reclaim.Freed(), "full", s.full.Load(), ends)
		return nil
	})
	if err != nil {
		panic(err)
	}
}

func splitLines(s string) (all []string) {
	for len(s) > 0 {
		i := 0
		for i < len(s) && s[i] != '\n' {
			i++
		}
		all = append(all, s[:i])
		s = s[min(i+1, len(s)):]
	}
	return all
}
