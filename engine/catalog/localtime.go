package catalog

import (
	"fmt"
	"strings"
	"time"
	_ "time/tzdata" // zones must resolve on machines without a zone database
)

const (
	dateLayout   = "2006-01-02"
	clockLayout  = "15:04"
	momentLayout = dateLayout + " " + clockLayout

	// Within these years an instant is positive in Unix time and has four digits in RFC 3339, in any zone.
	firstYear, lastYear = 1971, 9998
)

// LoadZone resolves a zone by its IANA name. It refuses the machine's own zone, because a definition must mean the same
// on every machine, and the files of a zone database that are no zones: those with leap seconds, whose instants are not
// those of other clocks, and the template for machines that were not set up.
func LoadZone(name string) (*time.Location, error) {
	directory, _, _ := strings.Cut(name, "/")
	switch directory {
	case "", "Local", "localtime", "posixrules", "right", "posix", "Factory":
	default:
		if zone, err := time.LoadLocation(name); err == nil {
			return zone, nil
		}
	}
	return nil, fmt.Errorf("must be an IANA time zone such as Europe/Paris or UTC, not %q", name)
}

// parseLocal reads `2006-01-02 15:04` as local time in a zone and returns it in UTC. It refuses a time that clocks
// skip. For a time that clocks show twice it returns the earlier instant.
func parseLocal(text string, zone *time.Location) (time.Time, error) {
	wall, err := time.Parse(momentLayout, text)
	if err != nil || wall.Format(momentLayout) != text || wall.Year() < firstYear || wall.Year() > lastYear {
		return time.Time{}, fmt.Errorf("must be a local time such as 2023-11-30 10:00 in the years %d to %d, not %.40q",
			firstYear, lastYear, text)
	}
	// The zone's offset at that local time is that of the day before or that of the day after: no zone changes twice
	// within two days. The larger offset gives the earlier instant.
	_, before := wall.Add(-24 * time.Hour).In(zone).Zone()
	_, after := wall.Add(24 * time.Hour).In(zone).Zone()
	for _, offset := range []int{max(before, after), min(before, after)} {
		instant := wall.Add(-time.Duration(offset) * time.Second)
		if _, actual := instant.In(zone).Zone(); actual == offset {
			return instant, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q does not exist in %s because clocks skip it; choose another time", text, zone)
}
