package inventory

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// fault is a mistake in the code that the exploration of interleavings has to find. TestPlantedFaults plants it in a
// copy.
type fault struct {
	what  string
	edits []edit
	cases []string // of TestExplore: one that finds it comes first
}

// edit replaces a text that a function has once, or wherever it has it.
type edit struct {
	function string // how its first line begins
	old, now string
	all      bool
}

// one is a fault of one edit.
func one(what, function, old, now string, cases ...string) fault {
	return fault{what, []edit{{function: function, old: old, now: now}}, cases}
}

// faults are all planted faults: of the calls, of the changes, of the definition, of quotas, and of rows that are used
// again.
func faults() []fault {
	return slices.Concat(faultsOfRecycling(), faultsOfCalls(), faultsOfChanges(), faultsOfRedefinitions(),
		faultsOfQuotas())
}

// TestFaultsCanBePlanted: every planted fault has its text in the code. Where the code has changed, so must the fault.
func TestFaultsCanBePlanted(t *testing.T) {
	_, err := plant(faults())
	require.NoError(t, err)
	names := map[string]bool{}
	for _, f := range faults() {
		require.False(t, names[f.what], "two faults %q", f.what)
		names[f.what] = true
		require.NotEmpty(t, f.cases, f.what)
	}
}

// function is one with faults.
type function struct {
	file           string
	text           string // of the file
	head, from, to int    // where the function begins, its body, and its end
	call           string // of a copy, with %d for the number of the fault
	signature      string // of a copy, likewise
	copies         string
	choices        string
}

// plant returns the files that are different when the faults are planted, each in copies of its functions. The
// functions themselves call the copies when planted has the number of the fault: its place in the list, from 1 on.
func plant(all []fault) (files map[string]string, err error) {
	functions, err := readFunctions()
	if err != nil {
		return nil, err
	}
	changed := map[string][]*function{}
	for i, f := range all {
		bodies := map[string]string{}
		for _, edit := range f.edits {
			f := functions[edit.function]
			if f == nil {
				return nil, fmt.Errorf("fault %q: no function, or several, begin with %q: change the fault as the code has changed",
					all[i].what, edit.function)
			}
			body := cmp.Or(bodies[edit.function], f.text[f.from:f.to])
			if n := strings.Count(body, edit.old); n == 0 || n > 1 && !edit.all {
				return nil, fmt.Errorf("fault %q: %q has %d times %q: change the fault as the code has changed", all[i].what,
					edit.function, n, edit.old)
			}
			bodies[edit.function] = strings.ReplaceAll(body, edit.old, edit.now)
		}
		for name, body := range bodies {
			f := functions[name]
			if f.copies == "" {
				changed[f.file] = append(changed[f.file], f)
			}
			f.choices += fmt.Sprintf("\ncase %d:\n"+f.call+"\n", i+1, i+1)
			f.copies += "\n" + fmt.Sprintf(f.signature, i+1) + " " + body + "\n"
		}
	}
	files = map[string]string{}
	for file, all := range changed {
		slices.SortFunc(all, func(a, b *function) int { return b.from - a.from })
		text := all[0].text
		for _, f := range all {
			text = text[:f.head] + strings.Replace(f.signature, "_%d", "", 1) + " {\nswitch planted {" + f.choices + "}\n" +
				text[f.from+1:f.to] + "\n" + f.copies + text[f.to:]
		}
		files[file] = text
	}
	return files, nil
}

// readFunctions returns the functions of the inventory and of the packages in it, by what faults call them.
func readFunctions() (map[string]*function, error) {
	named, found := map[string]bool{}, map[string]*function{}
	for _, f := range faults() {
		for _, edit := range f.edits {
			named[edit.function] = true
		}
	}
	return found, filepath.WalkDir(".", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".go" || strings.Contains(path, "protocol") {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		files := token.NewFileSet()
		file, err := parser.ParseFile(files, path, text, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, decl := range file.Decls {
			decl, ok := decl.(*ast.FuncDecl)
			if !ok || decl.Body == nil {
				continue
			}
			at := func(p token.Pos) int { return files.Position(p).Offset }
			f := &function{file: path, text: string(text), head: at(decl.Pos()), from: at(decl.Body.Pos()),
				to: at(decl.Body.End())}
			if decl.Doc != nil {
				f.head = at(decl.Type.Pos())
			}
			head := f.text[f.head:f.from]
			for name := range named {
				if strings.HasPrefix(head, name) {
					if _, twice := found[name]; twice {
						f = nil
					} else {
						f.describe(decl, at)
					}
					found[name] = f
				}
			}
		}
		return nil
	})
}

// describe sets how a copy of the function is declared and called.
func (f *function) describe(decl *ast.FuncDecl, at func(token.Pos) int) {
	of := func(from, to token.Pos) string { return f.text[at(from):at(to)] }
	receiver, call := "", decl.Name.Name+"_%d("
	if decl.Recv != nil {
		receiver = of(decl.Recv.Pos(), decl.Recv.End()) + " "
		call = decl.Recv.List[0].Names[0].Name + "." + call
	}
	var declared []string
	for i, p := range decl.Type.Params.List {
		names := []string{fmt.Sprint("argument", i)} // of one that the function does not use
		for j, name := range p.Names {
			names = append(names[:j], name.Name)
		}
		declared = append(declared, strings.Join(names, ", ")+" "+of(p.Type.Pos(), p.Type.End()))
		call += strings.Join(names, ", ") + ", "
	}
	results := ""
	if decl.Type.Results != nil {
		results = of(decl.Type.Results.Pos(), decl.Type.Results.End())
		call = "return " + call
	}
	f.call = call + ")"
	if results == "" {
		f.call += "\nreturn"
	}
	f.signature = "func " + receiver + decl.Name.Name + "_%d(" + strings.Join(declared, ", ") + ") " + results
}
