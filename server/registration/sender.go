package registration

import (
	"context"
	"errors"
	"fmt"

	"github.com/seathold/seathold/server/client"
)

// task is a line in flight. done is closed when it has an outcome.
type task struct {
	line     rollLine
	repeated bool // its account is in an earlier line
	outcome  outcome
	done     chan struct{}
}

// outcome is what became of a line.
type outcome struct {
	entered bool   // by this line; otherwise refused, or entered before
	refused string // why the line is refused
	fatal   error  // ends the run
}

// send enters the accounts of its tasks one after the other. After ctx has ended it fails them.
func (o *Options) send(ctx context.Context, tasks <-chan *task) {
	for t := range tasks {
		if t.outcome.fatal = context.Cause(ctx); t.outcome.fatal == nil {
			t.outcome = o.enter(ctx, t)
		}
		close(t.done)
	}
}

// enter enters one account. The client has retried what a retry could mend.
func (o *Options) enter(ctx context.Context, t *task) outcome {
	entry, err := o.Client.Enter(ctx, o.Draw, t.line.account, t.line.group)
	refusal, refused := errors.AsType[*client.Error](err)
	switch {
	case ctx.Err() != nil && err != nil:
		return outcome{fatal: context.Cause(ctx)}
	case refused && refusal.Code == "malformed_request":
		return outcome{refused: refusal.Detail}
	case refused && refusal.Status < 500:
		return outcome{fatal: refusal}
	case err != nil:
		return outcome{fatal: fmt.Errorf("%s does not accept entries: %w", o.Server, err)}
	case entry.Account != t.line.account:
		return outcome{fatal: fmt.Errorf("%s returned no entry of account %s", o.Server, t.line.account)}
	case !entry.Repeated:
		return outcome{entered: true}
	}
	return outcome{refused: t.whyRepeated(entry.Group)}
}

// whyRepeated returns why a line is refused whose account has an entry with the group; "" if that is the same entry.
func (t *task) whyRepeated(group string) (why string) {
	if t.repeated {
		why = "the account is in an earlier line"
	}
	if group != t.line.group {
		if why == "" {
			why = "the account entered before"
		}
		if why += ", with the priority group " + group; group == "" {
			why += "none"
		}
	}
	return why
}
