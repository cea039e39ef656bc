package main

import (
	"bytes"
	"fmt"

	"github.com/seathold/seathold/engine/catalog"
)

type exportSaleCommand struct {
	Dir    string `arg:"" placeholder:"DIR" help:"A directory that does not exist yet, or is empty."`
	From   string `default:"http://127.0.0.1:9090" env:"SEATHOLD_ADMIN" placeholder:"URL" help:"The operator's port of the server whose definition is written (default: ${default})."`
	Sale   string `placeholder:"NAME" help:"Write a bundled definition instead: paris2024."`
	Remote remote `embed:""`
}

func (c *exportSaleCommand) Help() string {
	return `The files are those that were applied last, with a stock.csv for the pools whose stock was set since. So
sale plan finds no change in them, and they can be edited and applied.`
}

// Run writes the files.
func (c *exportSaleCommand) Run(p *process) error {
	files, what, err := c.files(p)
	if err != nil {
		return err
	}
	if err := files.WriteDir(c.Dir); err != nil {
		return err
	}
	out := lines{w: p.stdout}
	out.printf("%s, in %s", what, c.Dir)
	return out.err
}

// files returns the files, and what they are.
func (c *exportSaleCommand) files(p *process) (files *catalog.Files, what string, err error) {
	if c.Sale == catalog.Bundled {
		return catalog.Paris2024().Files, "sale " + c.Sale, nil
	}
	if c.Sale != "" {
		return nil, "", usagef("--sale %.70q is no bundled definition: there is %s", c.Sale, catalog.Bundled)
	}
	operator, ctx, end, err := c.Remote.operator(p, "--from", c.From)
	if err != nil {
		return nil, "", err
	}
	defer end()
	archive, err := operator.SaleFiles(ctx)
	if err != nil {
		return nil, "", err
	}
	if files, err = catalog.ReadTar(bytes.NewReader(archive)); err != nil {
		return nil, "", fmt.Errorf("the files of the server: %w", err)
	}
	sale, err := catalog.LoadFS(files.FS())
	if err != nil {
		return nil, "", fmt.Errorf("the files of the server: %w", err)
	}
	return files, fmt.Sprintf("sale %s, %s", sale.Name, sale.Title), nil
}
