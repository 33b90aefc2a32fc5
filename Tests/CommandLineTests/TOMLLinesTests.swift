import Testing

@testable import culvert

/// The lines of keys in a TOML text.
@Suite("Lines of keys in TOML")
struct TOMLLinesTests {
    struct Row: Sendable, CustomTestStringConvertible {
        let name: String
        let text: String
        let path: [TOMLStep]
        let line: Int

        init(_ name: String, _ text: String, _ path: [TOMLStep], _ line: Int) {
            (self.name, self.text, self.path, self.line) = (name, text, path, line)
        }

        var testDescription: String { name }
    }

    private static func tunnel(_ number: Int, _ key: String) -> [TOMLStep] {
        [.key("tunnel"), .index(number), .key(key)]
    }

    static let rows = [
        Row("a key at the top", "a = 1\n\nb = 2\n", [.key("b")], 3),
        Row("a key after a comment", "# a = 1\na = 2\n", [.key("a")], 2),
        Row("a quoted key", "\"b c\" = 1\n'd' = 2\n", [.key("d")], 2),
        Row("a quoted key with an escape", "x = 1\n\"\\u0061\" = 1\n", [.key("a")], 2),
        Row("a dotted key", "a.b = 1\na . \"c\" = 2\n", [.key("a"), .key("c")], 2),
        Row("a table", "b = 1\n[a]\nb = 2\n", [.key("a"), .key("b")], 3),
        Row("a table with blanks and quotes in its head", "b = 1\n [ \"a\" ] # x\nb = 2\n", [.key("a"), .key("b")], 3),
        Row("a dotted head", "[a.b]\nc = 1\n", [.key("a"), .key("b"), .key("c")], 2),
        Row("a head at the end", "a = 1\n[limits]\n", [.key("limits")], 2),
        Row("the second of tables", "[[tunnel]]\na = 1\n[[tunnel]]\na = 1\n", tunnel(1, "a"), 4),
        Row("tables with blanks in their heads", "[[ tunnel ]]\n\n[[ tunnel ]]\na = 1\n", tunnel(1, "a"), 4),
        Row("tables with quotes in their heads", "[[\"tunnel\"]]\n[['tunnel']]\na = 1\n", tunnel(1, "a"), 3),
        Row(
            "a table within the last of tables",
            "[[tunnel]]\n[[tunnel]]\n[tunnel.x]\ny = 1\n",
            tunnel(1, "x") + [.key("y")],
            4
        ),
        Row("CR LF", "[[tunnel]]\r\na = 1\r\n\r\n[[tunnel]]\r\na = 1\r\n", tunnel(1, "a"), 5),
        Row("a name within a long string", "s = \"\"\"\na = 1\n\"\"\"\na = 2\n", [.key("a")], 4),
        Row("a long string that ends with quotes", "s = \"\"\"\n\"x\"\"\"\"\"\na = 2\n", [.key("a")], 3),
        Row("an escaped quote in a long string", "s = \"\"\"\\\"\"\"\na = 1\"\"\"\na = 2\n", [.key("a")], 3),
        Row("a literal long string", "s = '''\na = 1\\'''\na = 2\n", [.key("a")], 3),
        Row("a head within a long string", "s = '''\n[t]\n'''\n[t]\na = 1\n", [.key("t"), .key("a")], 5),
        Row("a hash in a string", "s = \"# \" \na = '#'\n", [.key("a")], 2),
        Row("an inline table", "x = 1\nt = { a = 1, b = 2 }\n", [.key("t"), .key("b")], 2),
        Row("a dotted key in an inline table", "t = { a.b = 1 }\n", [.key("t"), .key("a"), .key("b")], 1),
        Row("an element of an array over lines", "l = [\n  \"a\",\n  # b\n  \"c\",\n]\n", [.key("l"), .index(1)], 4),
        Row("a key after an array over lines", "l = [\n1, [2,\n3] ]\na = 1\n", [.key("a")], 4),
        Row("brackets within strings of an array", "l = [ \"]\", ']' ]\na = 1\n", [.key("a")], 2),
        Row(
            "inline tables of an array over lines",
            "tunnel = [\n  { a = 1 },\n  { a = 1,\n    b = 2 },\n]\n",
            tunnel(1, "b"),
            4
        ),
        Row("a missing key has the line of its table", "\n[[tunnel]]\na = 1\n", tunnel(0, "b"), 2),
        Row("a key without a table has line 1", "a = 1\n", [.key("x"), .key("y")], 1),
    ]

    @Test("the line of a key is found in every form of TOML", arguments: rows)
    func line(row: Row) {
        #expect(TOMLLines(row.text).line(of: row.path) == row.line)
    }

    @Test("a text that is truncated anywhere does not crash the scan")
    func truncatedTexts() {
        for row in Self.rows {
            for end in row.text.indices { _ = TOMLLines(String(row.text[..<end])).line(of: row.path) }
        }
        _ = TOMLLines("a = " + String(repeating: "[", count: 10_000))
    }

    @Test(
        "the nearest known word is suggested, and none if none is near",
        arguments: [
            ("remot", "remote"), ("locla", "local"), ("token-file", "token_file"), ("Listen", "listen"), ("xyz", nil),
            ("", nil),
        ]
    )
    func spelling(word: String, meant: String?) {
        #expect(SpellingSuggestion.nearest(word, among: ["remote", "local", "token_file", "listen"]) == meant)
    }
}
