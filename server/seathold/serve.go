package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/journal"
	"github.com/seathold/seathold/engine/saleclock"
	"github.com/seathold/seathold/server"
	"github.com/seathold/seathold/server/internal/certificates"
	"github.com/seathold/seathold/server/metrics"
	"github.com/seathold/seathold/server/operator"
)

// drainTime is how long a shutdown waits for requests in flight.
const drainTime = 10 * time.Second

type serveCommand struct {
	Addr       string       `default:"127.0.0.1:8080" env:"SEATHOLD_ADDR" placeholder:"HOST:PORT" help:"Where the API listens (default: ${default})."`
	AdminAddr  string       `default:"127.0.0.1:9090" env:"SEATHOLD_ADMIN_ADDR" placeholder:"HOST:PORT" help:"Where the operator's port listens (default: ${default})."`
	Journal    journalFlags `embed:""`
	New        bool         `name:"new" env:"SEATHOLD_NEW" help:"Begin a new journal where there was one before and nothing is there now. Without it, such a place is refused: its disk may not be mounted."`
	Durability string       `default:"sync" enum:"sync,async,none" env:"SEATHOLD_DURABILITY" help:"Answer after the outcome is on disk (sync, the default), before it (async), or keep no journal at all (none)."`
	Sale       string       `default:"paris2024" env:"SEATHOLD_SALE" placeholder:"NAME|DIR" help:"The sale definition: the bundled paris2024 (default), or a directory of the same files. What was never in force is put into force, at the start and, for a directory, on SIGHUP; a running sale is changed by seathold sale apply, too."`
	Clock      saleClock    `env:"SEATHOLD_CLOCK" placeholder:"real|RFC3339" help:"The sale clock: wall time, whose steps it follows slowly, or a clock that starts at that instant. Default: the opening of 30 November 2023 for paris2024, real for other sales."`
	Holds      holds        `embed:""`
	Checkpoint int          `name:"checkpoint-after" env:"SEATHOLD_CHECKPOINT_AFTER" placeholder:"RECORDS" help:"Write a checkpoint after so many records (default: a million, or twice the number of reservations if that is more)."`
	Tables     tables       `embed:""`
	Limits     limits       `embed:""`
	Callers    callers      `embed:""`
	Standby    standby      `embed:""`
	Logs       logFlags     `embed:""`
}

// leastProcs is the least GOMAXPROCS. While the journal's writer waits for the disk it occupies one of them. If that
// were the only one, callers would be served in lockstep with the writer, one a sync, and Go would poll the network
// only every ten milliseconds: on one processor, overload left 2,258 of 16,839 sales a second.
const leastProcs = 2

// Run serves until a signal ends it.
func (c *serveCommand) Run(p *process) error {
	if runtime.GOMAXPROCS(0) < leastProcs {
		runtime.GOMAXPROCS(leastProcs)
	}
	if err := c.Logs.check(); err != nil {
		return err
	}
	logs := c.Logs.open(p.stderr)
	defer logs.close(logPatience)
	s, err := c.prepare(p, logs)
	if err != nil {
		return err
	}
	return errors.Join(s.run(), s.close())
}

// service is one run of the serve command.
type service struct {
	command   *serveCommand
	process   *process
	logs      *logs
	log       *slog.Logger                 // of the process
	sale      atomic.Pointer[catalog.Sale] // as --sale was read last; the journal may have another one in force
	clock     saleClock
	saleClock *saleclock.Clock // of all engines
	reloads   *reloads
	keys      *server.Keys
	secure    *certificates.Store // nil without TLS
	api       net.Listener
	admin     net.Listener
	operator  *operator.Port
	server    atomic.Pointer[server.Server] // nil until the journal is replayed
	engine    *engine.Engine                // replaced when it is deposed
	next      *engine.Engine                // follows the journal, and replaces engine once it has caught up
	following following
	hasRead   bool                              // an engine that was deposed had read of a reservation or an entry
	monitored atomic.Pointer[journal.Monitored] // the journal, if it has a store that can be in trouble
	report    []string                          // what the check of a Redis found
	ended     chan error                        // a listener ended
}

// prepare checks everything that can be checked without the journal, and binds both ports.
func (c *serveCommand) prepare(p *process, l *logs) (*service, error) {
	s := &service{command: c, process: p, logs: l, log: l.process, ended: make(chan error, 2)}
	s.reloads = newReloads(l.audit)
	if c.Checkpoint < 0 {
		return nil, usagef("--checkpoint-after %d is negative", c.Checkpoint)
	}
	err := errors.Join(c.Holds.check(), c.Tables.check(), c.Limits.check())
	if err != nil {
		return nil, err
	}
	if s.secure, err = c.Callers.certificates(s.reloads); err != nil {
		return nil, err
	}
	if s.keys, err = c.Callers.keys(s.reloads); err != nil {
		return nil, err
	}
	sale, err := catalog.Load(c.Sale)
	if err != nil {
		return nil, err
	}
	s.reloadsSale(sale)
	if err = errors.Join(c.Journal.check(), c.Standby.check(c)); err != nil {
		return nil, err
	}
	s.reloads.warn(c.Journal.Redis.exposure())
	s.clock = c.Clock.orDefaultOf(c.Sale, sale)
	s.saleClock = s.clock.start(s.log)
	if s.api, err = listen("--addr", c.Addr, s.keys); err != nil {
		return nil, err
	}
	if s.admin, err = listen("--admin-addr", c.AdminAddr, s.keys); err != nil {
		return nil, errors.Join(err, s.api.Close())
	}
	return s, nil
}

// run replays the journal, serves, and shuts down.
func (s *service) run() error {
	defer s.process.await()() // not while it closes: a second signal then ends it at once
	s.startOperator()
	s.reloads.start()
	var stopped bool
	var err error
	if s.engine, stopped, err = s.open(s.command.Standby.Standby); stopped || err != nil {
		return errors.Join(err, s.api.Close())
	}
	api, err := server.New(context.Background(), server.Options{Engine: s.engine, Keys: s.keys, Log: s.log,
		Access:                   s.logs.access,
		MaxConnections:           s.command.Limits.MaxConnections,
		MaxConnectionsPerAddress: s.command.Limits.MaxConnectionsPerAddress,
		MaxInFlight:              s.command.Limits.MaxInFlight,
		MaxInFlightPerKey:        s.command.Limits.MaxInFlightPerKey,
		MaxBuffered:              int64(s.command.Limits.MaxBuffered) << 20})
	if err != nil {
		return errors.Join(err, s.api.Close())
	}
	s.server.Store(api)
	var secure *tls.Config
	if s.secure != nil {
		secure = s.secure.Strict()
	}
	go func() {
		s.ended <- errors.Join(errors.New("the API's listener ended"), api.ServeTLS(s.api, secure))
	}()
	if err := s.banner(s.process.stdout); err != nil {
		s.log.Warn("the banner could not be printed", "error", err)
	}
	return s.serve(api)
}

// serve runs until a signal or a fault ends it, and shuts down. It replaces an engine that is deposed.
func (s *service) serve(api *server.Server) error {
	deposed := s.engine.Deposed()
	var again <-chan time.Time
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for {
		select {
		case signal := <-s.process.signals:
			s.log.Info("shutting down; a second signal ends at once", "signal", signal.String())
			return s.shutdown(api)
		case err := <-s.ended:
			return errors.Join(err, s.shutdown(api))
		case <-deposed:
			deposed, again = nil, s.afterDeposition()
		case <-again:
			var stopped bool
			var err error
			if s.next, stopped, err = s.open(true); stopped || err != nil {
				return errors.Join(err, s.shutdown(api))
			}
			deposed, again = s.next.Deposed(), nil
		case <-look.C:
			s.adopt(api)
		}
	}
}

func (s *service) startOperator() {
	registry := metrics.NewRegistry(metrics.ReadBuild(), s.server.Load, &s.reloads.results, s.certificateEnds)
	registry.MustRegister(metrics.LogLines(s.logs.dropped))
	s.operator = operator.New(operator.Options{
		Ready: s.ready, Failed: s.failed, Notes: s.notes, Engine: s.inCharge, Arguments: publicArguments(os.Args),
		Metrics: metrics.Page(registry),
		Keys:    s.keys, Loopback: s.admin.Addr().(*net.TCPAddr).IP.IsLoopback(), Log: s.log, Audit: s.logs.audit,
		ClientCertificates: s.secure != nil && s.secure.RequiresClients(),
	})
	admin := s.admin
	if s.secure != nil {
		admin = tls.NewListener(admin, s.secure.Lenient()) // probes have no certificate
	}
	go func() {
		if err := s.operator.Serve(admin); !errors.Is(err, http.ErrServerClosed) {
			s.ended <- fmt.Errorf("the operator's listener ended: %w", err)
		}
	}()
}

// certificateEnds returns when the certificates end; none without TLS.
func (s *service) certificateEnds() map[string]time.Time {
	if s.secure == nil {
		return nil
	}
	return s.secure.Ends()
}

// inCharge returns the current engine; nil until the journal is replayed.
func (s *service) inCharge() *engine.Engine {
	if api := s.server.Load(); api != nil {
		return api.Engine()
	}
	return nil
}

// failed returns why only a restart helps.
func (s *service) failed() error {
	if e := s.inCharge(); e != nil {
		return e.Failed()
	}
	return nil
}

func (s *service) ready() error {
	if api := s.server.Load(); api != nil {
		return api.Ready()
	}
	return errors.New("the journal is being replayed")
}

// durabilities are the values of --durability.
var durabilities = map[string]engine.Durability{"sync": engine.Sync, "async": engine.Async, "none": engine.None}

// open opens the sale, and stops if a signal arrives meanwhile: a replay takes seconds, and so does waiting for the
// silence of another leader.
func (s *service) open(standby bool) (e *engine.Engine, stopped bool, err error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	opened, watched := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(watched)
		select {
		case signal := <-s.process.signals:
			s.log.Info("stopping before the sale is open; a second signal ends at once", "signal", signal.String())
			cancel()
			s.endAtSignal(opened)
		case <-opened:
		}
	}()
	s.following.openedAt = time.Now()
	e, err = s.openEngine(ctx, standby)
	close(opened)
	<-watched
	stopped = ctx.Err() != nil
	if stopped && errors.Is(err, context.Canceled) {
		err = nil
	}
	if errors.Is(err, journal.ErrNotSilent) {
		err = fmt.Errorf("%w; stop that server, or start this one with --standby, to take over when that one stops", err)
	}
	return e, stopped, err
}

// openEngine opens the sale, as the leader or as a standby.
func (s *service) openEngine(ctx context.Context, standby bool) (*engine.Engine, error) {
	o := engine.Options{Sale: s.sale.Load(), TTL: s.command.Holds.TTL, MaxHold: s.command.Holds.most(),
		Clock: s.saleClock, Timed: true, Log: s.log,
		Standby: standby, TakeoverAfter: s.command.Standby.TakeoverAfter, Address: s.advertised(),
		Durability: durabilities[s.command.Durability], CheckpointAfter: s.command.Checkpoint,
		Forget: s.command.Tables.Forget, MaxReservations: s.command.Tables.MaxReservations,
		MaxAccounts: s.command.Tables.MaxAccounts}
	if o.Durability != engine.None {
		var err error
		if o.Journal, err = s.openJournal(ctx); err != nil {
			return nil, err
		}
		if s.following.reason == "" { // otherwise it has just been logged, and may be tried again for a long time
			s.log.Info("replaying the journal", "journal", s.command.Journal.String(), "standby", standby)
		}
	}
	e, err := engine.Open(ctx, o)
	if err == nil && s.command.New && e.Recovery().Last > 0 {
		s.log.Warn("there is a journal, so --new has no effect; without it an empty place would be refused")
	}
	if refused, ok := errors.AsType[*engine.ChangeRefused](err); ok {
		err = &saleRefused{s.command.Sale, refused}
	}
	return e, hintNew(err)
}

// shutdown answers the requests in flight. A signal that arrives meanwhile ends the program at once.
func (s *service) shutdown(api *server.Server) error {
	ended := make(chan struct{})
	defer close(ended)
	go s.endAtSignal(ended)
	ctx, cancel := context.WithTimeout(context.Background(), drainTime)
	defer cancel()
	if err := api.Shutdown(ctx); err != nil {
		return fmt.Errorf("shutting down: %w", err)
	}
	return nil
}

// endAtSignal ends the program at a signal, the second one, unless what the first one stops has ended before.
func (s *service) endAtSignal(ended <-chan struct{}) {
	select {
	case <-s.process.signals:
		s.logs.close(hurriedPatience)
		os.Exit(s.process.fail(exitFailed, errors.New("ended by a second signal")))
	case <-ended:
	}
}

// close ends what run started. The operator's port is last: it reports the state of the others.
func (s *service) close() error {
	var err error
	for _, e := range []*engine.Engine{s.next, s.engine} {
		if e == nil {
			continue
		}
		if fault := e.Close(); fault != nil {
			err = errors.Join(err, fmt.Errorf("closing the journal: %w", fault))
		}
	}
	err = errors.Join(err, s.operator.Close())
	s.reloads.end()
	return err
}
