package client

import (
	"context"
	"errors"
	"net/http"
	"strings"
)

// Group is a group of accounts. Its members may buy in the phases that are for the group.
type Group struct {
	Group   string `json:"group"`
	Title   string `json:"title"`
	Members int    `json:"members"`
}

// Joined is how many of the accounts in a list became members of a group.
type Joined struct {
	Entered int `json:"entered"`
	Already int `json:"already"` // were members before, or are in the list twice
	Members int `json:"members"` // of the group afterwards
}

// MaxJoined is the largest number of accounts in one request. [Operator.Join] splits longer lists.
const MaxJoined = 100_000

// Groups returns the groups of the sale.
func (o *Operator) Groups(ctx context.Context) ([]Group, error) {
	answer := map[string][]Group{}
	_, err := o.c.call(ctx, http.MethodGet, "/admin/groups", nil, &answer)
	return answer["groups"], err
}

// Join makes accounts members of a group, MaxJoined in a request. Who is a member stays one. If a request is repeated
// because its answer was lost, the accounts that it entered are counted as Already. After an error, those counted are
// members, and others may be: call again with the same accounts. Refused with not_found, with faulty_list (faults) if a
// name is not an account, and with full (entered, already).
func (o *Operator) Join(ctx context.Context, group string, accounts []string) (all Joined, err error) {
	for first := true; first || len(accounts) > 0; first = false {
		n := min(len(accounts), MaxJoined)
		list, part := []byte(strings.Join(accounts[:n], "\n")), Joined{}
		_, err = o.c.retry(ctx, func(ctx context.Context) (int, error) {
			return o.sendBody(ctx, groupPath(group, ""), csvType, list, "", &part)
		})
		if refusal, refused := errors.AsType[*Error](err); refused {
			return Joined{all.Entered + refusal.Count("entered"), all.Already + refusal.Count("already"), all.Members}, err
		}
		if err != nil {
			return all, err
		}
		all = Joined{all.Entered + part.Entered, all.Already + part.Already, part.Members}
		accounts = accounts[n:]
	}
	return all, nil
}

// Leave ends the membership of an account, and reports whether there was one: an earlier attempt, whose answer was
// lost, may have ended it. What the account holds or has bought stays. Refused with malformed_request if it is not an
// account, and with not_found if the sale has no such group.
func (o *Operator) Leave(ctx context.Context, group, account string) (left bool, err error) {
	var done struct {
		Left bool `json:"left"`
	}
	_, err = o.c.call(ctx, http.MethodDelete, groupPath(group, account), nil, &done)
	return done.Left, err
}

// Member returns nil if an account is a member of a group. Refused with not_found if it is not, and if the sale has no
// such group.
func (o *Operator) Member(ctx context.Context, group, account string) error {
	var member struct{}
	_, err := o.c.call(ctx, http.MethodGet, groupPath(group, account), nil, &member)
	return err
}

// csvType is the content type of a list of accounts.
const csvType = "text/csv"

// groupPath returns the path of a group's accounts, or of one of them.
func groupPath(group, account string) string {
	path := "/admin/groups/" + escaped(group) + "/accounts"
	if account != "" {
		path += "/" + escaped(account)
	}
	return path
}
