package console

import (
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"net/http"
)

var (
	assets  = readAssets(map[string]string{"style.css": "text/css", "console.js": "text/javascript", "icon.svg": "image/svg+xml"})
	edition = assets.edition()
)

// assetFiles are what pages load, by name.
type assetFiles map[string]asset

type asset struct {
	kind string
	data []byte
}

func readAssets(kinds map[string]string) assetFiles {
	all := assetFiles{}
	for name, kind := range kinds {
		data, err := fs.ReadFile(files, "pages/"+name)
		if err != nil {
			panic(err) // it is embedded
		}
		all[name] = asset{kind, data}
	}
	return all
}

// edition tells these assets from those of another version of the program, which browsers may have kept.
func (a assetFiles) edition() string {
	sum := sha256.New()
	for _, name := range []string{"console.js", "icon.svg", "style.css"} {
		sum.Write(a[name].data)
	}
	return hex.EncodeToString(sum.Sum(nil))[:12]
}

// serveAsset serves what pages load, to anybody: it is the same everywhere.
func serveAsset(w http.ResponseWriter, r *http.Request, name string) bool {
	a, known := assets[name]
	if !known || r.Method != http.MethodGet && r.Method != http.MethodHead {
		return false
	}
	w.Header().Set("Content-Type", a.kind+"; charset=utf-8")
	if r.URL.RawQuery == edition {
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	_, _ = w.Write(a.data)
	return true
}
