package server

import _ "embed"

// document describes the API, in OpenAPI 3.1.
//
//go:embed openapi.yaml
var document string
