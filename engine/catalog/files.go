package catalog

// Files are the files of a definition as the organiser wrote them.
type Files struct{ contents map[string][]byte }
