// Package clientgen tests the API's document with other programs: the linters Redocly and Spectral, the generators
// oapi-codegen, openapi-typescript and @hey-api/openapi-ts, and a browser that shows the page at /docs.
//
// testdata/go and testdata/ts are programs on the generated clients. The commands that generate them are those of
// server/README.md. package-lock.json pins the npm packages; the tests install them into node_modules.
package clientgen
