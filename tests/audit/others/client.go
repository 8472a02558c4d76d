// Reads a served log with the packages that Go's own checksum database is read with, and nothing of ours.
//
//	client LOG VKEY HELD INDEX
//
// LOG: its address. VKEY: its verifier key. HELD: a file with an older checkpoint of it. INDEX: of a leaf. The API key
// is read from standard input. Proves the leaf, and that the log begins with the one of HELD; prints the leaf and both
// sizes. Exit status 1 and a sentence otherwise.
package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// served is the log at an address, as a tlog.TileReader.
type served struct {
	address string
	key     string
}

func main() {
	log.SetFlags(0)
	key, err := io.ReadAll(os.Stdin)
	check(err)
	of := served{os.Args[1], string(bytes.TrimSpace(key))}
	verifier, err := note.NewVerifier(os.Args[2])
	check(err)
	held, err := os.ReadFile(os.Args[3])
	check(err)
	index, err := strconv.ParseInt(os.Args[4], 10, 64)
	check(err)

	now, err := of.get("checkpoint")
	check(err)
	tree, before := head(now, verifier), head(held, verifier)
	hashes := tlog.TileHashReader(tree, of)

	led, err := tlog.ProveTree(tree.N, before.N, hashes)
	check(err)
	check(tlog.CheckTree(led, tree.N, tree.Hash, before.N, before.Hash))

	bundle, err := of.get(place("entries", index/256, width(tree.N, index)))
	check(err)
	for skip := index % 256; skip > 0; skip-- {
		bundle = bundle[2+int(binary.BigEndian.Uint16(bundle)):]
	}
	entry := bundle[2 : 2+int(binary.BigEndian.Uint16(bundle))]
	path, err := tlog.ProveRecord(tree.N, index, hashes)
	check(err)
	check(tlog.CheckRecord(path, tree.N, tree.Hash, index, tlog.RecordHash(entry)))
	fmt.Printf("%s\n%d leads on from %d\n", entry, tree.N, before.N)
}

// head returns the tree of a signed checkpoint, whose origin is the key's name.
func head(data []byte, key note.Verifier) tlog.Tree {
	opened, err := note.Open(data, note.VerifierList(key))
	check(err)
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[0] != key.Name() {
		log.Fatal("not a checkpoint of this log")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	check(err)
	root, err := tlog.ParseHash(lines[2])
	check(err)
	return tlog.Tree{N: size, Hash: root}
}

func (of served) get(file string) ([]byte, error) {
	request, err := http.NewRequest("GET", of.address+"/"+file, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+of.key)
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", file, answer.Status)
	}
	return io.ReadAll(answer.Body)
}

func (of served) Height() int { return 8 }

func (of served) ReadTiles(wanted []tlog.Tile) (found [][]byte, err error) {
	for _, tile := range wanted {
		data, err := of.get(place(strconv.Itoa(tile.L), tile.N, tile.W))
		if err != nil {
			return nil, err
		}
		found = append(found, data)
	}
	return found, nil
}

func (of served) SaveTiles([]tlog.Tile, [][]byte) {}

// width is how many entries the bundle has that holds a leaf.
func width(size, index int64) int {
	if rest := size - index/256*256; rest < 256 {
		return int(rest)
	}
	return 256
}

// place is where C2SP tlog-tiles has a tile.
func place(level string, n int64, width int) string {
	path := fmt.Sprintf("%03d", n%1000)
	for n >= 1000 {
		n /= 1000
		path = fmt.Sprintf("x%03d/%s", n%1000, path)
	}
	if width < 256 {
		path = fmt.Sprintf("%s.p/%d", path, width)
	}
	return "tile/" + level + "/" + path
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
