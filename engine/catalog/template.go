package catalog

import (
	"embed"
	"io/fs"
)

//go:embed templates
var templates embed.FS

// Template returns the files to begin a sale definition with: the smallest sale that loads, or one that has every key
// of sale.yaml, each with a comment, and every table. Both load without faults.
func Template(full bool) *Files {
	dir := "templates/smallest"
	if full {
		dir = "templates/full"
	}
	f := &Files{text: map[string][]byte{}}
	entries, err := fs.ReadDir(templates, dir)
	for i := 0; err == nil && i < len(entries); i++ {
		name := entries[i].Name()
		f.text[name], err = templates.ReadFile(dir + "/" + name)
	}
	if err != nil {
		panic("BUG: a template of a sale definition cannot be read: " + err.Error())
	}
	return f
}
