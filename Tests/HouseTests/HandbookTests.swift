import Foundation
import Testing

/// The operators' handbook against the sources: what it lists is what the program has, and its links lead somewhere.
@Suite("The handbook") struct HandbookTests {
    private static let root = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    private static let folder = root.appendingPathComponent("Sources/culvert/Handbook.docc")
    private static let product = [
        "EtcdStore", "TunnelCore", "TunnelAdmin", "TunnelServer", "TunnelClient", "Tunnel", "culvert",
    ]

    private static func page(_ name: String) throws -> String {
        try String(contentsOf: folder.appendingPathComponent("\(name).md"), encoding: .utf8)
    }

    private static func pages() throws -> [(name: String, text: String)] {
        let names = try FileManager.default.contentsOfDirectory(atPath: folder.path).filter { $0.hasSuffix(".md") }
        return try names.sorted().map { ($0, try page(String($0.dropLast(3)))) }
    }

    private static func source(_ path: String) throws -> String {
        try String(contentsOf: root.appendingPathComponent("Sources/\(path)"), encoding: .utf8)
    }

    /// The cells of the tables' rows whose first cell is code.
    private static func rows(_ page: String) -> [[String]] {
        page.split(separator: "\n").filter { $0.hasPrefix("| `") }.map { line in
            line.dropFirst(2).components(separatedBy: " | ").map { cell in
                cell.trimmingCharacters(in: CharacterSet(charactersIn: "| "))
            }
        }
    }

    private static func code(_ cell: String) -> String { cell.trimmingCharacters(in: CharacterSet(charactersIn: "`")) }

    @Test("each message of the log at info and above has its row with its level, and no row is left over")
    func messages() throws {
        var known: [String: Set<String>] = [:]
        for target in Self.product {
            let base = Self.root.appendingPathComponent("Sources/\(target)")
            let paths = try FileManager.default.subpathsOfDirectory(atPath: base.path).filter { $0.hasSuffix(".swift") }
            for path in paths {
                for message in LogMessages(of: try Self.source("\(target)/\(path)")).all {
                    known[message.text, default: []].formUnion(message.level.map { [$0] } ?? ["debug", "notice"])
                }
            }
        }
        try #require(known.count > 60)
        var shown: [String: Set<String>] = [:]
        for row in Self.rows(try Self.page("Messages")) {
            try #require(row.count == 4, "\(row)")
            #expect(shown[Self.code(row[0])] == nil, "two rows for \(row[0])")
            shown[Self.code(row[0])] = Set(row[1].components(separatedBy: ", "))
        }
        for (text, levels) in known { #expect(shown[text] == levels, "\(text): \(levels.sorted())") }
        #expect(Set(shown.keys).subtracting(known.keys).isEmpty)
    }

    @Test("each metric has its row, and no row is left over")
    func metrics() throws {
        let help = try Self.source("TunnelAdmin/MetricHelp.swift")
        let known = Set(help.matches(of: /"((?:culvert|process)_[a-z_]+)":/).map { String($0.output.1) })
        try #require(known.count > 40)
        let shown = Self.rows(try Self.page("Metrics")).map { Self.code($0[0]) }
        #expect(Set(shown) == known)
        #expect(shown.count == known.count)
    }

    @Test("the reasons and hops that are labels of metrics are on the page of metrics")
    func labels() throws {
        let page = try Self.page("Metrics")
        let server = try Self.source("TunnelServer/Endpoint/ServerMetrics.swift")
        let hops = try Self.source("TunnelClient/Dial/Failures/DialError.swift")
            .split(separator: "public enum Disposition")[0]
        var labels = server.matches(of: /case \.\w+: "([a-z_]+)"/).map { String($0.output.1) }
        labels += server.matches(of: /\n    case \w+ = "([a-z_]+)"/).map { String($0.output.1) }
        labels += hops.matches(of: /case \w+ = "([^"]+)"/).map {
            $0.output.1.lowercased().replacing(" ", with: "_")
        }
        try #require(labels.count > 15)
        for label in labels { #expect(page.contains("`\(label)`"), "\(label)") }
    }

    @Test("each alert of Fixtures has its first step")
    func alerts() throws {
        let rules = try String(
            contentsOf: Self.root.appendingPathComponent("Fixtures/prometheus/culvert.rules.yml"),
            encoding: .utf8
        )
        let page = try Self.page("Watching")
        let alerts = rules.matches(of: /- alert: (\w+)/).map { String($0.output.1) }
        try #require(alerts.count > 10)
        for alert in alerts { #expect(page.contains(alert), "\(alert)") }
    }

    @Test("each exit code has its row, and no row is left over")
    func exitCodes() throws {
        let status = try Self.source("culvert/Logging/Failure.swift").split(separator: "struct Failure")[0]
        let known = Set(status.matches(of: /case \w+ = (\d+)/).map { String($0.output.1) })
        try #require(known.count > 6)
        let shown = Self.rows(try Self.page("ExitCodes")).map { Self.code($0[0]) }
        #expect(shown.sorted() == (known.union(["0"])).sorted())
    }

    @Test("each page has 20 to 220 lines, a title and a summary, and is a topic of the landing page")
    func shape() throws {
        let pages = try Self.pages()
        try #require(pages.count > 15)
        let landing = try Self.page("Handbook")
        for (name, text) in pages {
            let lines = text.components(separatedBy: "\n")
            #expect((20...220).contains(lines.count), "\(name) has \(lines.count) lines")
            #expect(lines[0].hasPrefix("# ") && lines[1].isEmpty && !lines[2].isEmpty, "\(name)")
            #expect(name == "Handbook.md" || landing.contains("- <doc:\(name.dropLast(3))>"), "\(name)")
        }
    }

    @Test("links lead to pages of the handbook, and paths in code to files of the repository")
    func links() throws {
        let pages = try Self.pages()
        let names = Set(pages.map { String($0.name.dropLast(3)) })
        for (name, text) in pages {
            for match in text.matches(of: /<doc:([A-Za-z]+)(?:#[^>]*)?>/) {
                #expect(names.contains(String(match.output.1)), "\(name): \(match.output.0)")
            }
            for match in text.matches(
                of: /`((?:Sources|Fixtures|Tests)\/[^`\s]+|README\.md|CHANGELOG\.md|CONTRIBUTING\.md)`/
            ) {
                let path = Self.root.appendingPathComponent(String(match.output.1)).path
                #expect(FileManager.default.fileExists(atPath: path), "\(name): \(match.output.1)")
            }
            #expect(!text.contains("]("), "\(name): a link of Markdown, which DocC resolves in its own way")
        }
    }

    /// The toolchain's docc; nil if it is not installed.
    private static let docc: URL? = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":")
        .map { URL(fileURLWithPath: "\($0)/docc") }
        .first { FileManager.default.isExecutableFile(atPath: $0.path) }

    @Test("DocC accepts the pages without a warning", .enabled(if: docc != nil))
    func conversion() throws {
        let output = FileManager.default.temporaryDirectory.appendingPathComponent("culvert-handbook-\(UUID())")
        defer { try? FileManager.default.removeItem(at: output) }
        let conversion = Process()
        conversion.executableURL = Self.docc
        conversion.arguments = [
            "convert", Self.folder.path, "--warnings-as-errors", "--fallback-display-name", "culvert",
            "--fallback-bundle-identifier", "culvert", "--output-path", output.path,
        ]
        try conversion.run()
        conversion.waitUntilExit()
        #expect(conversion.terminationStatus == 0)
    }
}
