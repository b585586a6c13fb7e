package main

import (
	"slices"
	"testing"
)

func TestRowsOfADump(t *testing.T) {
	const dump = "/*M!999999 enable the sandbox mode */\nCREATE TABLE `notes` (\n  `id` int,\n  KEY (`id`)\n);\nLOCK TABLES `notes` WRITE;\n" +
		"INSERT INTO `notes` VALUES\n(1,'first'),\n(2,'sec\\nond; (3)'),\n(3,'');\nINSERT INTO `notes` VALUES\n(4,'more');\n(5,'no row: no insert before it');\n" +
		"CREATE TABLE `empty``one` (\n  `id` int\n);\n"
	want := []Table{{Name: "empty`one", Checksum: "0"}, {Name: "notes", Rows: 4}}
	var sum string
	for _, size := range []int{1, 2, 3, 7, 64, len(dump)} { // however it comes
		r := newRows()
		for part := range slices.Chunk([]byte(dump), size) {
			if n, err := r.Write(part); n != len(part) || err != nil {
				t.Fatal(n, err)
			}
		}
		got := r.tables()
		if len(got) != 2 || got[0] != want[0] || got[1].Name != "notes" || got[1].Rows != 4 {
			t.Fatalf("by %d bytes: %+v", size, got)
		}
		if sum == "" {
			sum = got[1].Checksum
		}
		if got[1].Checksum != sum || sum == "0" {
			t.Errorf("by %d bytes the checksum is %s, not %s", size, got[1].Checksum, sum)
		}
	}
	for name, tt := range map[string]struct {
		dump string
		same bool
	}{
		"another order, other inserts": {"CREATE TABLE `notes` (\nINSERT INTO `notes` VALUES\n(4,'more'),\n(3,''),\n(2,'sec\\nond; (3)'),\n(1,'first');\n", true},
		"another row":                  {"CREATE TABLE `notes` (\nINSERT INTO `notes` VALUES\n(4,'more'),\n(3,''),\n(2,'sec\\nond; (3)'),\n(1,'First');\n", false},
		"a row twice":                  {"CREATE TABLE `notes` (\nINSERT INTO `notes` VALUES\n(4,'more'),\n(3,''),\n(1,'first'),\n(1,'first');\n", false},
	} {
		r := newRows()
		_, _ = r.Write([]byte(tt.dump))
		if got := r.tables()[0].Checksum; (got == sum) != tt.same {
			t.Errorf("%s: %s and %s", name, got, sum)
		}
	}
}
