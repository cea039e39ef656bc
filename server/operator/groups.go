package operator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/server/internal/encode"
	"github.com/seathold/seathold/server/internal/lines"
)

const (
	// MaxAccounts is the most bytes of a list of accounts: over a million of them, of usual length.
	MaxAccounts = 32 << 20
	// joinedAtOnce is how many accounts become members in one call of the engine, which waits for the journal once.
	joinedAtOnce = 10_000
	// mostFaults is how many lines of a list are named that are not accounts.
	mostFaults = 100
)

// groups are an operator's calls for the members of groups, who may buy in the phases with access: group:
//
//	GET    /admin/groups                              the groups, and how many members each has
//	POST   /admin/groups/{group}/accounts             make the accounts in the body members
//	GET    /admin/groups/{group}/accounts/{account}   whether an account is a member; not_found if it is not
//	DELETE /admin/groups/{group}/accounts/{account}   end a membership
//
// A body is CSV with an account on each line, as `draw withdraw --file` reads it, but its header may be missing. If a
// line is not an account, the list is refused and nobody becomes a member. Repeating a call changes nothing.
type groups struct {
	calls
	entering sync.Mutex
}

// register adds the calls below /admin/groups.
func (g *groups) register(paths *http.ServeMux) {
	paths.Handle("GET /admin/groups", g.call(g.list))
	paths.Handle("POST /admin/groups/{group}/accounts", g.call(g.join))
	paths.Handle("GET /admin/groups/{group}/accounts/{account}", g.call(g.member))
	paths.Handle("DELETE /admin/groups/{group}/accounts/{account}", g.call(g.leave))
}

// group is a group as GET /admin/groups lists it.
type group struct {
	Group   string `json:"group"`
	Title   string `json:"title"`
	Members int    `json:"members"`
}

func (g *groups) list(w http.ResponseWriter, r *http.Request, e *engine.Engine) error {
	sale, all := e.Sale(), []group{}
	for i := range sale.Groups {
		in := &sale.Groups[i]
		if in.Removed {
			continue
		}
		members, err := e.Members(in.ID)
		if errors.Is(err, engine.ErrNoGroup) {
			continue // it was removed a moment ago
		}
		if err != nil {
			return err
		}
		all = append(all, group{in.ID, in.Title, members})
	}
	return g.respond(w, r, struct {
		Groups []group `json:"groups"`
	}{all})
}

// counts are how many accounts of a list became members, and how many were members already.
type counts struct {
	Entered int `json:"entered"`
	Already int `json:"already"`
}

// joined is what POST /admin/groups/{group}/accounts responds with.
type joined struct {
	Group string `json:"group"`
	counts
	Members int `json:"members"` // of the group now
}

func (g *groups) join(w http.ResponseWriter, r *http.Request, e *engine.Engine) error {
	id := r.PathValue("group")
	if _, err := e.Members(id); err != nil { // before the body is read
		return err
	}
	list, err := g.uploads.read(w, r, MaxAccounts)
	if err != nil {
		return err
	}
	done, err := g.enter(r, e, id, list)
	if err != nil {
		return err
	}
	members, err := e.Members(id)
	if err != nil {
		return err
	}
	return g.respond(w, r, joined{id, done, members})
}

// enter makes the accounts of a list members. While it does so, another list is refused.
func (g *groups) enter(r *http.Request, e *engine.Engine, group string, list *upload) (done counts, err error) {
	defer list.done()
	if !g.entering.TryLock() {
		return done, &refusal{&changeUnderWay, "the members of another list are being entered; retry when that has ended"}
	}
	defer g.entering.Unlock()
	if err := checked(list); err != nil {
		return done, err
	}
	// The end of the operator's connection does not cancel what is being journalled.
	done, err = joinAll(context.WithoutCancel(r.Context()), e, group, list)
	audit(r, slog.Int("entered", done.Entered), slog.Int("already", done.Already))
	if err != nil {
		return done, &withFacts{err, done}
	}
	return done, nil
}

// checked returns the refusal of a list that has other lines than accounts.
func checked(list *upload) error {
	var faults []string
	bad, in := 0, lines.NewAccounts(list.reader())
	for {
		_, err := in.NextAccount()
		fault, ok := errors.AsType[*lines.NotAccount](err)
		switch {
		case ok:
			if bad++; bad <= mostFaults {
				faults = append(faults, fault.Error())
			}
			continue
		case err == nil:
			continue
		case bad == 0:
			return nil
		}
		if bad > mostFaults {
			faults = append(faults, fmt.Sprintf("and %d more", bad-mostFaults))
		}
		detail := fmt.Sprintf("%d lines are not accounts, and no account has become a member", bad)
		return &withFacts{&refusal{&faultyList, detail}, struct {
			Faults []string `json:"faults"`
		}{faults}}
	}
}

// joinAll makes the accounts of a list members. After an error, those that are counted are members.
func joinAll(ctx context.Context, e *engine.Engine, group string, list *upload) (done counts, err error) {
	in, part := lines.NewAccounts(list.reader()), make([]string, 0, joinedAtOnce)
	for {
		account, err := in.NextAccount()
		if err == nil {
			part = append(part, string(account))
		}
		if ended := err != nil; len(part) == joinedAtOnce || ended && len(part) > 0 {
			now, err := e.Join(ctx, group, part)
			done.Entered, done.Already, part = done.Entered+now.Entered, done.Already+now.Already, part[:0]
			if err != nil {
				return done, err
			}
		}
		if err != nil {
			return done, nil // the end: every line is an account
		}
	}
}

// membership is what the calls about one account respond with.
type membership struct {
	Group   string `json:"group"`
	Account string `json:"account"`
	Left    *bool  `json:"left,omitempty"` // whether it was a member, of DELETE
}

func (g *groups) member(w http.ResponseWriter, r *http.Request, e *engine.Engine) error {
	id, account := r.PathValue("group"), r.PathValue("account")
	is, err := e.Member(id, account)
	if err != nil {
		return err
	}
	if !is {
		return &refusal{&encode.NotFound, fmt.Sprintf("the account is not a member of the group %s", id)}
	}
	return g.respond(w, r, membership{Group: id, Account: account})
}

func (g *groups) leave(w http.ResponseWriter, r *http.Request, e *engine.Engine) error {
	id, account := r.PathValue("group"), r.PathValue("account")
	// The end of the operator's connection does not cancel what is being journalled.
	left, err := e.Leave(context.WithoutCancel(r.Context()), id, account)
	if err != nil {
		return err
	}
	audit(r, slog.Bool("left", left))
	return g.respond(w, r, membership{id, account, &left})
}
