package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/catalog"
)

// reloadsSale sets the sale that --sale names, and has SIGHUP read it again if that is a directory.
func (s *service) reloadsSale(sale *catalog.Sale) {
	s.sale.Store(sale)
	if s.command.Sale != catalog.Bundled {
		s.reloads.add("sale files", s.reloadSale)
	}
}

// reloadSale reads the directory of --sale again. What was never in force is put into force as seathold sale apply
// does. What was in force before is not: somebody has replaced it since, and a directory that was forgotten must not
// undo that.
func (s *service) reloadSale() (change string, err error) {
	sale, err := catalog.Load(s.command.Sale)
	if err != nil {
		return "", err
	}
	s.sale.Store(sale)
	e := s.inCharge()
	if e == nil {
		return "", errors.New("the journal is being replayed; send SIGHUP again when the server is ready")
	}
	plan, err := e.Plan(sale)
	refused, _ := errors.AsType[*engine.Refusal](err)
	switch {
	case refused != nil && refused.Code == engine.NotLeader:
		return "none: this server does not lead, and the definition in the journal counts", nil
	case err != nil:
		return "", err
	case plan.Same:
		return "none: these files are in force", nil
	case plan.Earlier > 0:
		return fmt.Sprintf("none: what these files say was in force before, in version %d, and was replaced; "+
			"seathold sale apply puts it into force again", plan.Earlier), nil
	}
	// A record that is on its way cannot be cancelled.
	done, err := e.Apply(context.Background(), sale, plan.Digest)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("version %d is in force: %s", done.Version, describeChanges(done.Changes)), nil
}

// describeChanges returns the changes on one line, the first of many only.
func describeChanges(changes []catalog.Change) string {
	const most = 20
	if len(changes) == 0 {
		return "other files that say the same"
	}
	all := make([]string, min(most, len(changes)))
	for i := range all {
		all[i] = changes[i].String()
	}
	text := strings.Join(all, "; ")
	if more := len(changes) - len(all); more > 0 {
		text += fmt.Sprintf("; and %d more", more)
	}
	return text
}

// saleRefused is the error of a start with files that cannot be put into force. It has a line for each objection.
type saleRefused struct {
	sale string // as --sale names it
	*engine.ChangeRefused
}

func (r *saleRefused) Error() string {
	return fmt.Sprintf("--sale %s cannot be put into force after what was sold and drawn; "+
		"seathold sale export writes the files in force; objections:\n%s", r.sale, strings.Join(r.Objections, "\n"))
}
