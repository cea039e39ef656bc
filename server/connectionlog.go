package server

import (
	"context"
	"fmt"
	"log/slog"
	"regexp"
)

// connectionLog logs fasthttp's messages, all of which are about faults of clients. Their errors quote what the client
// sent, which may be a key, or a path with an account. The log has none of it.
type connectionLog struct{ log *slog.Logger }

func (l connectionLog) Printf(format string, facts ...any) {
	if !l.log.Enabled(context.TODO(), slog.LevelDebug) {
		return
	}
	for i, fact := range facts {
		if err, ok := fact.(error); ok {
			facts[i] = quotedPart.ReplaceAllLiteralString(err.Error(), `"…"`)
		}
	}
	l.log.Debug("connection", "fault", fmt.Sprintf(format, facts...))
}

// quotedPart is a part of a text that %q has written.
var quotedPart = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)
