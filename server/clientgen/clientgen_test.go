package clientgen

import (
	"context"
	"log"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/saleclock"
	"github.com/seathold/seathold/server"
	"github.com/seathold/seathold/server/internal/npm"
)

const key = "the-key-of-a-generated-client"

// serve starts a server of the sale of Paris 2024, an hour after all venues went on sale, and returns its address. It
// requires the key.
func serve(t *testing.T) string {
	opening := time.Date(2023, 11, 30, 10, 0, 0, 0, time.UTC)
	e, err := engine.Open(t.Context(), engine.Options{Sale: catalog.Paris2024(), Durability: engine.None,
		Clock: saleclock.Virtual(func() time.Time { return opening })})
	require.NoError(t, err)
	keys, err := server.ParseKeys(strings.NewReader("sell " + key + " shop"))
	require.NoError(t, err)
	s, err := server.New(t.Context(), server.Options{Engine: e, Keys: keys, Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- s.Serve(ln) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		require.NoError(t, s.Shutdown(ctx))
		require.NoError(t, <-served)
		require.NoError(t, e.Close())
	})
	return ln.Addr().String()
}

// TestMain installs the npm packages.
func TestMain(m *testing.M) {
	if err := npm.Install(); err != nil {
		log.Fatal(err)
	}
	m.Run()
}

// run runs a program in a folder and returns its output. It fails the test if the program fails.
func run(t *testing.T, folder string, program string, args ...string) string {
	t.Helper()
	command := exec.CommandContext(t.Context(), program, args...)
	command.Dir = folder
	command.Env = append(os.Environ(), "NO_COLOR=1", "npm_config_update_notifier=false",
		"REDOCLY_TELEMETRY=off", "REDOCLY_SUPPRESS_UPDATE_NOTICE=true")
	out, err := command.CombinedOutput()
	require.NoError(t, err, "%s %s in %s:\n%s", program, strings.Join(args, " "), folder, out)
	return string(out)
}

// TestLint checks the document with the linters. The files of their rules justify each exception.
func TestLint(t *testing.T) {
	out := run(t, ".", "node_modules/.bin/redocly", "lint", "../openapi.yaml", "--config", "redocly.yaml")
	require.Contains(t, out, "Your API description is valid")
	out = run(t, ".", "node_modules/.bin/spectral", "lint", "../openapi.yaml", "--ruleset", "spectral.yaml",
		"--fail-severity", "hint")
	require.Contains(t, out, "No results with a severity of 'hint' or higher found!")
}

// TestGeneratedClients runs the commands of server/README.md, compiles the programs of testdata with the clients that
// they generate, and runs these programs against a server.
func TestGeneratedClients(t *testing.T) {
	address, folder := serve(t), t.TempDir()
	modules, err := filepath.Abs("node_modules")
	require.NoError(t, err)
	require.NoError(t, os.Symlink(modules, filepath.Join(folder, "node_modules")))
	for _, language := range []string{"go", "ts"} {
		require.NoError(t, os.CopyFS(folder, os.DirFS(filepath.Join("testdata", language))))
	}
	t.Setenv("SEATHOLD_URL", "http://"+address)
	t.Setenv("SEATHOLD_KEY", key)
	t.Setenv("npm_config_offline", "true") // npx runs what is installed
	t.Setenv("GOFLAGS", "-mod=mod")
	commands := readmeCommands(t)
	require.Len(t, commands, 5)
	for _, command := range commands {
		run(t, folder, "sh", "-c", strings.ReplaceAll(command, "localhost:8080", address))
	}
	run(t, folder, "go", "vet", ".", "./seathold")
	require.Equal(t, "done\n", run(t, folder, "go", "run", "."))
	run(t, folder, "node_modules/.bin/tsc", "--project", ".")
	for _, program := range []string{"fetch", "heyapi"} {
		require.Equal(t, "done\n", run(t, folder, "node", "built/"+program+".js"), program)
	}
	served, err := os.ReadFile(filepath.Join(folder, "openapi.yaml"))
	require.NoError(t, err)
	kept, err := os.ReadFile("../openapi.yaml")
	require.NoError(t, err)
	require.Equal(t, string(kept), string(served))
}

// readmeCommands returns the commands of server/README.md that generate clients.
func readmeCommands(t *testing.T) []string {
	readme, err := os.ReadFile("../README.md")
	require.NoError(t, err)
	for _, block := range strings.Split(string(readme), "\n```")[1:] {
		if strings.Contains(block, "oapi-codegen@") {
			return strings.Split(strings.TrimSpace(strings.ReplaceAll(block, "\\\n", "")), "\n")
		}
	}
	require.Fail(t, "server/README.md has no block with oapi-codegen")
	return nil
}

// TestPage shows the page at /docs in Chromium, which can reach no other host.
func TestPage(t *testing.T) {
	chromium := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			chromium = path
			break
		}
	}
	if chromium == "" {
		t.Skip("NOT RUN: a browser shows the page in this test; install Chromium")
	}
	t.Setenv("SEATHOLD_URL", "http://"+serve(t))
	t.Setenv("SEATHOLD_CHROMIUM", chromium)
	require.Equal(t, "done\n", run(t, ".", "node", "page.mjs"))
}
