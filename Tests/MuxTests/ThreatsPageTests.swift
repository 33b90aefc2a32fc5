import Foundation
import Testing

/// Codes such as M24 in test names and comments lead to a row of the page Threats.
@Suite("Codes of the page Threats")
struct ThreatsPageTests {
    private static let root = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    @Test("each code in tests and sources has one row on the page")
    func codes() throws {
        let page = try String(
            contentsOf: Self.root.appendingPathComponent("Sources/Mux/Mux.docc/Threats.md"),
            encoding: .utf8
        )
        let rows = page.split(separator: "\n").compactMap { $0.wholeMatch(of: /\| ([HRWDMAPSXN]\d+) \|.*/)?.1 }
        #expect(Set(rows).count == rows.count, "a code has one row")
        var used: [String: String] = [:]
        for folder in ["Sources", "Tests"] {
            let files = try #require(
                FileManager.default.enumerator(
                    at: Self.root.appendingPathComponent(folder),
                    includingPropertiesForKeys: nil
                )
            )
            for case let file as URL in files where file.pathExtension == "swift" {
                for code in Self.codes(in: try String(contentsOf: file, encoding: .utf8)) {
                    used[code] = file.lastPathComponent
                }
            }
        }
        #expect(used.count > 200, "the tests and sources cite codes")
        for (code, file) in used where !rows.contains(Substring(code)) {
            Issue.record("\(code) in \(file) has no row on the page")
        }
    }

    /// The codes in a file. Parts of words and of Unicode escapes are none, nor is `S15 c15`, a notation for windows.
    private static func codes(in text: String) -> [String] {
        text.matches(of: /(?:^|[^\w%{])([HRWDMAPSXN][1-9]\d?)(?![\w}])(?! c\d)/).map { String($0.1) }
    }
}
