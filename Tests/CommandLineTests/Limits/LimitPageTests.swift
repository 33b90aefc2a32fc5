import Foundation
import Testing

@testable import culvert

/// The tables of the page Limits are rendered from the rows of ``LimitTable``.
///
/// `CULVERT_RECORD=1` writes the tables of the page again. A missing section must be added by hand, since it needs an
/// introduction.
@Suite("The page Limits")
struct LimitPageTests {
    private static let path = LimitFile.root.appendingPathComponent("Sources/Tunnel/Tunnel.docc/Limits.md").path

    @Test("each table has the rows of the limits, with key, default, range, unit and reason, and no other")
    func tables() throws {
        var page = MarkdownPage(try String(contentsOfFile: Self.path, encoding: .utf8))
        if ProcessInfo.processInfo.environment["CULVERT_RECORD"] == "1" {
            for table in LimitPage.tables { page.replace(table.title, with: table.lines) }
            try page.text.write(toFile: Self.path, atomically: true, encoding: .utf8)
        }
        #expect(page.titlesOfTables == LimitPage.tables.map(\.title))
        for table in LimitPage.tables {
            let shown = page.table(table.title)
            for line in table.lines where !shown.contains(line) {
                Issue.record("\(table.title) lacks: \(line)")
            }
            for line in shown where !table.lines.contains(line) {
                Issue.record("\(table.title) has a line without a row: \(line)")
            }
            #expect(shown == table.lines || Set(shown) != Set(table.lines), "\(table.title): another order")
        }
    }

    @Test("a table that differs from its row in one cell lacks the row")
    func difference() throws {
        let table = try #require(LimitPage.tables.first)
        let row = try #require(table.lines.first { $0.contains("`request_head`") })
        for (old, new) in [
            ("`request_head`", "`request_heads`"), ("| 16 KiB |", "| 16 KB |"), ("1 KiB to", "2 KiB to"),
            ("Fronts", "Proxies"),
        ] {
            let changed = table.lines.map { $0.replacingOccurrences(of: old, with: new) }
            let page = MarkdownPage("# Limits\n\n## \(table.title)\n\n" + changed.joined(separator: "\n") + "\n")
            #expect(!page.table(table.title).contains(row))
        }
    }

    @Test("the name of a limit is unique in its theme, and each key is in one row")
    func names() {
        for theme in LimitTable.themes { #expect(Set(theme.rows.map(\.name)).count == theme.rows.count) }
        let keys = LimitTable.rows.compactMap(\.key?.name)
        #expect(Set(keys).count == keys.count)
    }

    @Test("a reason has 3 to 25 words and no full stop, so that an error can end with it")
    func reasons() {
        for limit in LimitTable.rows {
            #expect(!limit.reason.hasSuffix("."))
            #expect((3...25).contains(limit.reason.split(separator: " ").count), "\(limit.reason)")
        }
    }
}
