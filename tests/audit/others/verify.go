// Verifies a bundle with the packages that Go's own checksum database is read with, and nothing of ours.
//
//	verify BUNDLE VKEY [PROOF ENTRY]
//
// BUNDLE: its folder. VKEY: the log's verifier key. PROOF, ENTRY: files with a C2SP tlog-proof and the entry it proves.
// Prints what was verified; exit status 1 and a sentence otherwise.
package main

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// A manifest, as far as it is of use here.
type manifest struct {
	Origin string
	From   int64
	To     int64
	Size   int64
}

func main() {
	log.SetFlags(0)
	folder := os.Args[1]
	key, err := note.NewVerifier(os.Args[2])
	check(err)
	keys := note.VerifierList(key)

	var told manifest
	check(json.Unmarshal(read(folder, "manifest.json"), &told))
	tree := head(read(folder, "checkpoint"), keys, told.Origin)
	require(tree.N == told.Size, "the manifest is of another tree")

	signed, err := note.Open(read(folder, "manifest.note"), keys)
	check(err)
	require(strings.HasPrefix(signed.Text, "countersign/manifest\n"), "the note is not one of a manifest")

	leaves(folder, told, tree)
	if told.From > 0 {
		previous(read(folder, "previous"), keys, told, tree)
	}
	if len(os.Args) > 3 {
		proof(read(os.Args[3]), read(os.Args[4]), keys, told.Origin)
	}
	fmt.Printf("%d leaves of %d verified\n", told.To-told.From, tree.N)
}

// head returns the tree of a signed checkpoint.
func head(data []byte, keys note.Verifiers, origin string) tlog.Tree {
	opened, err := note.Open(data, keys)
	check(err)
	lines := strings.Split(opened.Text, "\n")
	require(len(lines) == 4 && lines[0] == origin, "not a checkpoint of this log")
	size, err := strconv.ParseInt(lines[1], 10, 64)
	check(err)
	root, err := tlog.ParseHash(lines[2])
	check(err)
	return tlog.Tree{N: size, Hash: root}
}

// leaves proves each entry of the period with the tiles, and compares it with its line.
func leaves(folder string, told manifest, tree tlog.Tree) {
	hashes := tlog.TileHashReader(tree, tiles(folder))
	lines := bytes.Split(read(folder, "entries.jsonl"), []byte("\n"))
	var bundle [][]byte
	for index := told.From; index < told.To; index++ {
		if bundle == nil || index%256 == 0 {
			width := tree.N - index/256*256
			if width > 256 {
				width = 256
			}
			bundle = entries(read(folder, place("entries", index/256, int(width))))
		}
		entry := bundle[index%256]
		path, err := tlog.ProveRecord(tree.N, index, hashes)
		check(err)
		err = tlog.CheckRecord(path, tree.N, tree.Hash, index, tlog.RecordHash(entry))
		require(err == nil, fmt.Sprintf("leaf %d is not in the tree: %v", index, err))
		line := lines[index-told.From]
		require(bytes.Contains(line, entry), fmt.Sprintf("the line of leaf %d tells of another one", index))
	}
}

// previous verifies that the tree begins with the one of the period's start.
func previous(data []byte, keys note.Verifiers, told manifest, tree tlog.Tree) {
	at := bytes.LastIndex(data, []byte("\n\n"))
	before := head(data[:at+1], keys, told.Origin)
	require(before.N == told.From, "previous is of another tree")
	var path tlog.TreeProof
	for _, line := range strings.Fields(string(data[at:])) {
		path = append(path, hash(line))
	}
	check(tlog.CheckTree(path, tree.N, tree.Hash, before.N, before.Hash))
}

// proof verifies a C2SP tlog-proof.
func proof(text, entry []byte, keys note.Verifiers, origin string) {
	top, rest, ok := bytes.Cut(text, []byte("\n\n"))
	lines := strings.Split(string(top), "\n")
	require(ok && lines[0] == "c2sp.org/tlog-proof@v1", "not a proof")
	index, err := strconv.ParseInt(strings.TrimPrefix(lines[1], "index "), 10, 64)
	check(err)
	var path tlog.RecordProof
	for _, line := range lines[2:] {
		path = append(path, hash(line))
	}
	tree := head(rest, keys, origin)
	check(tlog.CheckRecord(path, tree.N, tree.Hash, index, tlog.RecordHash(entry)))
	fmt.Printf("record at %d proven\n", index)
}

// entries splits an entry bundle.
func entries(data []byte) (found [][]byte) {
	for len(data) > 0 {
		length := 2 + int(binary.BigEndian.Uint16(data))
		found, data = append(found, data[2:length]), data[length:]
	}
	return found
}

// tiles reads hash tiles from a folder.
type tiles string

func (folder tiles) Height() int { return 8 }

func (folder tiles) ReadTiles(wanted []tlog.Tile) (found [][]byte, err error) {
	for _, tile := range wanted {
		data, err := os.ReadFile(filepath.Join(string(folder), place(strconv.Itoa(tile.L), tile.N, tile.W)))
		if err != nil {
			return nil, err
		}
		found = append(found, data)
	}
	return found, nil
}

func (folder tiles) SaveTiles([]tlog.Tile, [][]byte) {}

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

func hash(text string) (found tlog.Hash) {
	data, err := base64.StdEncoding.DecodeString(text)
	check(err)
	require(copy(found[:], data) == 32, "not a hash")
	return found
}

func read(parts ...string) []byte {
	data, err := os.ReadFile(filepath.Join(parts...))
	check(err)
	return data
}

func require(true bool, sentence string) {
	if !true {
		log.Fatal(sentence)
	}
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
