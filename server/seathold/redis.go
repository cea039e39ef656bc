package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/seathold/seathold/engine/journal"
	"github.com/seathold/seathold/engine/journal/embedded"
	"github.com/seathold/seathold/engine/journal/redis"
	"github.com/seathold/seathold/server/internal/certificates"
)

// redisFlags say in which Redis a journal is kept. The command that embeds them sets the prefix of their environment
// variables.
type redisFlags struct {
	URL  string `name:"redis" env:"REDIS" placeholder:"URL" help:"Keep the journal in a Redis: redis://HOST:PORT, rediss://, unix://, redis+sentinel://HOST:PORT,HOST:PORT/MASTER or redis+cluster://HOST:PORT,HOST:PORT. Set a URL with a password in the environment: other users of this machine can see the command line."`
	Name string `name:"redis-name" env:"REDIS_NAME" placeholder:"NAME" help:"The journal's name; one Redis can keep several journals (default: main)."`
	CA   string `name:"redis-ca" env:"REDIS_CA" placeholder:"FILE" help:"With rediss://: trust only the certificates of these authorities, PEM (default: those of the system)."`
	Cert string `name:"redis-cert" env:"REDIS_CERT" placeholder:"FILE" help:"With rediss://: the client certificate for Redis and its Sentinels, PEM. It is read again for each connection."`
	Key  string `name:"redis-key" env:"REDIS_KEY" placeholder:"FILE" help:"The key of --redis-cert, PEM."`
}

// defaultName is the journal's name without --redis-name.
const defaultName = "main"

// check reports flags that contradict each other. It does not connect.
func (f *redisFlags) check() error {
	switch {
	case f.URL == "" && (f.Name != "" || f.CA != "" || f.Cert != "" || f.Key != ""):
		return usagef("--redis-name, --redis-ca, --redis-cert and --redis-key need --redis")
	case (f.Cert == "") != (f.Key == ""):
		return usagef("--redis-cert and --redis-key go together")
	case f.URL == "":
		return nil
	case (f.CA != "" || f.Cert != "") && !strings.HasPrefix(f.URL, "rediss"):
		return usagef("--redis-ca and --redis-cert need --redis with TLS: rediss://, rediss+sentinel:// or rediss+cluster://")
	}
	j, err := redis.Open(redis.Options{Address: f.URL, Name: f.Name, TLS: f.tls(nil)})
	if err != nil {
		return usagef("--redis: %w", err)
	}
	return j.Close()
}

// options returns where the journal is kept, for redis.Open. The name is used unless there is one in the flags.
func (f *redisFlags) options(name string) (redis.Options, error) {
	o := redis.Options{Address: f.URL, Name: cmp.Or(f.Name, name)}
	authorities, err := readAuthorities("--redis-ca", f.CA)
	if err != nil {
		return o, err
	}
	if f.Cert != "" {
		if _, err := f.certificate(nil); err != nil {
			return o, err
		}
	}
	o.TLS = f.tls(authorities)
	return o, nil
}

// tls returns the settings of connections; nil for the client's own.
func (f *redisFlags) tls(authorities *x509.CertPool) *tls.Config {
	if f.CA == "" && f.Cert == "" {
		return nil
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: authorities}
	if f.Cert != "" {
		config.GetClientCertificate = f.certificate
	}
	return config
}

// certificate reads the client certificate. A renewed one is thus used for the next connection.
func (f *redisFlags) certificate(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	c, _, err := certificates.Pair(f.Cert, f.Key)
	if err != nil {
		return nil, fmt.Errorf("--redis-cert, --redis-key: %w", err)
	}
	return &c, nil
}

// exposure warns of users who can read or change the private key. A key that cannot be read is an error of options.
func (f *redisFlags) exposure() string {
	if f.Key == "" {
		return ""
	}
	_, warning, _ := certificates.Pair(f.Cert, f.Key)
	return warning
}

// String names the journal without its secrets.
func (f *redisFlags) String() string {
	if f.Name == "" || f.Name == defaultName {
		return redis.Location(f.URL)
	}
	return redis.Location(f.URL) + " (" + f.Name + ")"
}

// openJournal opens the journal for writing. ctx bounds the check of a Redis.
func (s *service) openJournal(ctx context.Context) (journal.Backend, error) {
	where := &s.command.Journal
	if where.Redis.URL == "" {
		warn := func(err error) { s.log.Warn("a fault that does not stop the journal", "fault", err) }
		j, err := embedded.Open(where.Data, embedded.Options{Warn: warn, New: s.command.New})
		return j, hintNew(err)
	}
	o, err := where.Redis.options(defaultName)
	if err != nil {
		return nil, err
	}
	o.Log, o.New, o.Expected = s.log, s.command.New && !s.hasRead, s.hasRead
	o.RequireSafe = s.command.Durability == "sync" && !s.command.Standby.MayLose
	r, err := redis.Open(o)
	if err != nil {
		return nil, err
	}
	monitored := journal.Monitored(r)
	s.monitored.Store(&monitored)
	if s.engine != nil {
		return r, nil // a deposed server follows at once; the journal repeats the check by itself
	}
	if err := s.checkRedis(ctx, r, o.RequireSafe); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

// checkRedis checks what the Redis guarantees and keeps the findings for the banner. It refuses a Redis that cannot
// meet --durability sync.
func (s *service) checkRedis(ctx context.Context, r *redis.Journal, required bool) error {
	report, err := r.Check(ctx)
	if err != nil {
		return fmt.Errorf("--redis %s: %w%s", &s.command.Journal, err,
			hintTLS(err, "--redis-ca", "--redis-cert and --redis-key"))
	}
	s.report = report.Lines
	if required && !report.Safe {
		return fmt.Errorf("--redis %s cannot meet --durability sync (%s); change its configuration, or start with "+
			"--redis-may-lose", &s.command.Journal, strings.Join(report.Why, "; "))
	}
	return nil
}

// notes returns what an operator should know about the journal's store, unless it is why the server is not ready.
func (s *service) notes() []string {
	m := s.monitored.Load()
	if m == nil {
		return nil
	}
	var notes []string
	ready := fmt.Sprint(s.ready())
	add := func(what, reason string) {
		if !strings.Contains(ready, reason) {
			notes = append(notes, what+": "+reason)
		}
	}
	c := (*m).Condition()
	if c.Retrying != nil {
		add("calls to the journal are retried", c.Retrying.Error())
	}
	for _, reason := range c.Unsafe {
		add("the journal may lose what it acknowledges", reason)
	}
	return notes
}

// publicArguments returns the arguments of a process without what may be a secret: of the value of --redis only what
// redis.Location returns, and of every other URL only its scheme.
func publicArguments(arguments []string) []string {
	const flag = "--redis"
	public := make([]string, len(arguments))
	for i, a := range arguments {
		value, assigned := strings.CutPrefix(a, flag+"=")
		switch {
		case assigned:
			public[i] = flag + "=" + redis.Location(value)
		case i > 0 && arguments[i-1] == flag:
			public[i] = redis.Location(a)
		default:
			public[i] = hideURLs(a)
		}
	}
	return public
}

var urls = regexp.MustCompile(`://[^\s"']*`)

// hideURLs removes what follows the scheme of every URL in a text.
func hideURLs(text string) string { return urls.ReplaceAllLiteralString(text, "://…") }
