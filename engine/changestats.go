package engine

import (
	"sync/atomic"
	"time"
)

// DefinitionStats are the definition in force and what became of calls that change it: Apply, Pause and SetStock.
type DefinitionStats struct {
	Version int       // in force, as far as it is durable
	Since   time.Time // of the last change, on the sale clock
	Changed uint64    // calls that have changed something since the engine was opened
	Refused uint64    // calls that were refused or failed
}

// changeCounts counts the calls that change the definition.
type changeCounts struct{ changed, refused atomic.Uint64 }

// end counts the result of a call, and returns it. changed is whether there was anything to change.
func (c *changeCounts) end(changed bool, err error) error {
	switch {
	case err != nil:
		c.refused.Add(1)
	case changed:
		c.changed.Add(1)
	}
	return err
}

func (e *Engine) definitionStats() DefinitionStats {
	f := e.memory.Shown()
	return DefinitionStats{Version: f.Definition.Version, Since: instant(f.Since.AtMs), Changed: e.changes.changed.Load(),
		Refused: e.changes.refused.Load()}
}
