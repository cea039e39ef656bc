package metrics

import "runtime/debug"

// ReadBuild returns what the Go command recorded in the binary.
func ReadBuild() Build {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return Build{Version: "unknown", GoVersion: "unknown"}
	}
	b := Build{Version: info.Main.Version, GoVersion: info.GoVersion}
	for _, setting := range info.Settings {
		switch {
		case setting.Key == "vcs.revision":
			b.Revision = setting.Value[:min(12, len(setting.Value))] + b.Revision
		case setting.Key == "vcs.modified" && setting.Value == "true":
			b.Revision += "+changes"
		}
	}
	return b
}

// String returns the version, and the revision if it is known.
func (b Build) String() string {
	if b.Revision == "" {
		return b.Version
	}
	return b.Version + " (" + b.Revision + ")"
}
