package redis

import "sort"

// place says where in the stream a record is the last one of its group.
type place struct {
	record uint64
	at     position
}

// places are known places, in their order. A checkpoint is replayed from the newest place that is not behind its start, so
// they may be thinned out: the exact place of the newest records costs least, and is asked for most.
type places struct {
	list []place
}

// placesKept bounds the list; the older three quarters of a full one lose every second place.
const placesKept = 4096

func (p *places) add(next place) {
	if len(p.list) == placesKept {
		old := p.list[:placesKept*3/4]
		thin := p.list[:0]
		for i := 0; i < len(old); i += 2 {
			thin = append(thin, old[i])
		}
		p.list = append(thin, p.list[len(old):]...)
	}
	p.list = append(p.list, next)
}

// notBehind returns the newest place at or before a record; false when all known ones are behind it.
func (p *places) notBehind(record uint64) (place, bool) {
	i := sort.Search(len(p.list), func(i int) bool { return p.list[i].record > record })
	if i == 0 {
		return place{}, false
	}
	return p.list[i-1], true
}

// forget drops the places before the given one.
func (p *places) forget(before place) {
	i := 0
	for i < len(p.list) && p.list[i].at.id.less(before.at.id) {
		i++
	}
	p.list = p.list[i:]
}
