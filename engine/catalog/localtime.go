package catalog

import (
	"fmt"
	"time"
	_ "time/tzdata" // the zones of a sale must resolve on machines without a zone database
)

const (
	dateLayout   = "2006-01-02"
	clockLayout  = "15:04"
	momentLayout = dateLayout + " " + clockLayout

	// In these years an instant is positive in Unix time and has four digits in RFC 3339, whatever the zone.
	firstYear, lastYear = 1971, 9998
)

// loadZone resolves a zone by its IANA name. The machine's own zone is refused: a definition must mean the same anywhere.
func loadZone(name string) (*time.Location, error) {
	if name == "" || name == "Local" {
		return nil, fmt.Errorf("%q is no IANA time zone such as Europe/Paris", name)
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil, fmt.Errorf("%q is no IANA time zone such as Europe/Paris", name)
	}
	return zone, nil
}

// parseLocal reads `2006-01-02 15:04` as wall time of a zone and returns it in UTC. A time that the clocks skip is refused;
// of one that they show twice the earlier is meant.
func parseLocal(text string, zone *time.Location) (time.Time, error) {
	wall, err := time.Parse(momentLayout, text)
	if err != nil || wall.Format(momentLayout) != text || wall.Year() < firstYear || wall.Year() > lastYear {
		return time.Time{}, fmt.Errorf("%.40q is no time such as 2023-11-30 10:00 of the years %d to %d", text, firstYear, lastYear)
	}
	// Whatever the zone's offset is at that wall time, it is the one of the day before or of the day after: zones do not
	// change twice within two days. Going east to west, the larger offset gives the earlier instant.
	_, before := wall.Add(-24 * time.Hour).In(zone).Zone()
	_, after := wall.Add(24 * time.Hour).In(zone).Zone()
	for _, offset := range []int{max(before, after), min(before, after)} {
		instant := wall.Add(-time.Duration(offset) * time.Second)
		if _, actual := instant.In(zone).Zone(); actual == offset {
			return instant, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q does not exist in %s: the clocks skip it", text, zone)
}
