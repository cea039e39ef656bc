package stock

// Pools are all pools, by number.
type Pools []Pool

// Line is a quantity of one pool.
type Line struct {
	Pool     uint32
	Quantity uint32
}

// Sort copies the lines into the room and sorts them by pool: the order in which they are taken.
func Sort(room, lines []Line) (sorted []Line) {
	sorted = room[:len(lines)]
	for i, l := range lines {
		for ; i > 0 && sorted[i-1].Pool > l.Pool; i-- {
			sorted[i] = sorted[i-1]
		}
		sorted[i] = l
	}
	return sorted
}

// Settle makes units that were taken as unsettled definitely taken.
func (p Pools) Settle(lines []Line) {
	for _, l := range lines {
		p[l.Pool].Settle(l.Quantity)
	}
}

// GiveBack makes unsettled units available, in one step for each line.
func (p Pools) GiveBack(lines []Line) {
	for _, l := range lines {
		p[l.Pool].GiveBack(l.Quantity)
	}
}
