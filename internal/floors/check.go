package floors

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Breach is one place where the code breaks the order of the house.
type Breach struct {
	Pos  token.Position // file name relative to the root
	Name string         // what is wrong: an import path, a function, "go", or the folder
	Why  string
}

// String is the breach as a compiler would print it.
func (b Breach) String() string { return fmt.Sprintf("%v: %s: %s", b.Pos, b.Name, b.Why) }

// Check reads all Go code under the root of a module and returns its breaches
// in the order of files and lines. The error says which file cannot be read or
// parsed.
func Check(root fs.FS) ([]Breach, error) {
	var breaches []Breach
	err := fs.WalkDir(root, ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir():
			return enter(root, name)
		case !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go"):
			return nil
		}
		source, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		files := token.NewFileSet()
		file, err := parser.ParseFile(files, name, source, 0)
		if err != nil {
			return err
		}
		c := checker{files: files, file: file, folder: path.Dir(name)}
		c.check()
		breaches = append(breaches, c.breaches...)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("floors: %w", err)
	}
	return breaches, nil
}

// enter skips what the go command skips: hidden folders, test data, other
// modules.
func enter(root fs.FS, name string) error {
	if name == "." {
		return nil
	}
	base := path.Base(name)
	if base == "testdata" || base == "vendor" || base == "node_modules" || base[0] == '.' || base[0] == '_' {
		return fs.SkipDir
	}
	if _, err := fs.Stat(root, path.Join(name, "go.mod")); err == nil {
		return fs.SkipDir
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// checker reads one file.
type checker struct {
	files  *token.FileSet
	file   *ast.File
	folder string

	breaches []Breach
}

func (c *checker) blame(at token.Pos, name, why string) {
	if _, ok := excused[c.folder][name]; !ok {
		c.breaches = append(c.breaches, Breach{c.files.Position(at), name, why})
	}
}

func (c *checker) check() {
	here, listed := house[c.folder]
	if !listed && !internal(c.folder) {
		c.blame(c.file.Package, c.folder, "is on no floor; enter it in internal/floors/house.go")
		return
	}
	for _, spec := range c.file.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			c.blame(spec.Pos(), spec.Path.Value, "is no import path")
			continue
		}
		c.reserved(spec, imported)
		if ours, ok := strings.CutPrefix(imported, module+"/"); ok {
			c.floor(spec, here, ours)
		}
		if here.kind == pure {
			c.pureImport(spec, imported)
		}
	}
	if here.kind == pure {
		c.pureCode()
	}
}

func internal(folder string) bool { return under(folder, "internal") }

func under(folder, parent string) bool {
	return folder == parent || strings.HasPrefix(folder, parent+"/")
}

func top(folder string) string {
	first, _, _ := strings.Cut(folder, "/")
	return first
}

func (c *checker) reserved(spec *ast.ImportSpec, imported string) {
	for prefix, allowed := range reserved {
		if under(imported, prefix) && !slices.Contains(allowed, c.folder) {
			c.blame(spec.Pos(), imported, fmt.Sprintf("only %q may import it", allowed))
		}
	}
}

func (c *checker) floor(spec *ast.ImportSpec, here place, ours string) {
	there, listed := house[ours]
	switch {
	case internal(ours):
	case internal(c.folder):
		c.blame(spec.Pos(), ours, "internal packages import nothing of the house")
	case !listed:
		c.blame(spec.Pos(), ours, "is on no floor")
	case there.floor > here.floor:
		c.blame(spec.Pos(), ours, fmt.Sprintf("is on floor %d, above %s on floor %d", there.floor, c.folder, here.floor))
	case there.floor == here.floor && top(ours) != top(c.folder):
		c.blame(spec.Pos(), ours, fmt.Sprintf("is beside %s on floor %d", c.folder, here.floor))
	case here.kind == pure && there.kind == shell:
		c.blame(spec.Pos(), ours, "is not pure")
	}
}

func (c *checker) pureImport(spec *ast.ImportSpec, imported string) {
	if spec.Name != nil && spec.Name.Name == "." {
		c.blame(spec.Pos(), imported, "a dot import hides what is used")
	}
	if harmless[imported] {
		return
	}
	for prefix, brings := range forbidden {
		if under(imported, prefix) {
			c.blame(spec.Pos(), imported, "brings "+brings+" into a pure package")
		}
	}
}

// pureCode looks for go statements and for functions that are not functions
// of their arguments.
func (c *checker) pureCode() {
	names := c.importNames()
	ast.Inspect(c.file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			c.blame(n.Pos(), "go", "starts a goroutine in a pure package")
		case *ast.CallExpr:
			// The builtins, not functions of ours that have their names.
			if f, ok := n.Fun.(*ast.Ident); ok && f.Obj == nil && (f.Name == "print" || f.Name == "println") {
				c.blame(n.Pos(), f.Name, "brings "+output+" into a pure package")
			}
		case *ast.SelectorExpr:
			// Obj is set where a local variable shadows the import.
			if x, ok := n.X.(*ast.Ident); ok && x.Obj == nil {
				c.pureUse(n, names[x.Name], n.Sel.Name)
			}
		}
		return true
	})
}

func (c *checker) pureUse(at ast.Node, imported, name string) {
	if brings, ok := impure[imported][name]; ok {
		c.blame(at.Pos(), path.Base(imported)+"."+name, "brings "+brings+" into a pure package")
	}
	if (imported == "math/rand" || imported == "math/rand/v2") && !seeded[name] {
		c.blame(at.Pos(), "rand."+name, "brings randomness of its own into a pure package")
	}
}

// importNames maps the names by which the file knows packages to their paths.
// Guessing a name from its path suffices: the packages in question are of the
// standard library.
func (c *checker) importNames() map[string]string {
	names := make(map[string]string)
	for _, spec := range c.file.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			continue
		}
		name := path.Base(imported)
		if name == "v2" {
			name = path.Base(path.Dir(imported))
		}
		if spec.Name != nil {
			name = spec.Name.Name
		}
		names[name] = imported
	}
	return names
}
