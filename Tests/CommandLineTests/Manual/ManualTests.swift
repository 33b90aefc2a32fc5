import ArgumentParser
import Foundation
import TestSupport
import Testing

@testable import culvert
@testable import culvert_package

/// The manual pages: those of commands are made from the parser's flags, and culvert.toml(5) is written by hand.
@Suite("Manual pages")
struct ManualTests {
    private static let folder = LimitFile.root.appendingPathComponent("Sources/Tools/Package/man")

    private static func tool() throws -> ToolDescription {
        try ToolDescription(json: Data(Culvert._dumpHelp().utf8))
    }

    private static func pages() throws -> [String: String] {
        let sections = try String(contentsOf: folder.appendingPathComponent("culvert.1.sections"), encoding: .utf8)
        let pages = ManualPage.all(of: try tool(), date: "January 1, 2026", sections: sections)
        return Dictionary(uniqueKeysWithValues: pages.map { ($0.name, $0.text) })
    }

    @Test("each command that the help shows has a page, and no other")
    func commands() throws {
        let shown = Culvert.configuration.subcommands.filter { $0.configuration.shouldDisplay }
        let names = shown.map { "culvert-\($0.configuration.commandName ?? "")" } + ["culvert"]
        #expect(try Self.pages().keys.sorted() == names.sorted())
    }

    @Test("each flag is on the page of its command, with every name and with its help")
    func flags() throws {
        let pages = try Self.pages()
        for command in try Self.tool().command.shownSubcommands {
            let page = try #require(pages["culvert-\(command.commandName)"])
            let items = page.split(separator: "\n").filter { $0.hasPrefix(".It ") }
            #expect(items.count == command.shownArguments.count)
            for (argument, item) in zip(command.shownArguments, items) {
                for name in argument.names ?? [] {
                    let flag = "Fl " + name.text.dropFirst().replacing("-", with: "\\-")
                    let plain = "Fl " + name.text.dropFirst()
                    let words = item.replacing(" , ", with: " ").split(separator: " ")
                    let found = words.adjacent.contains { $0 == flag || $0 == plain }
                    #expect(found, "\(command.commandName): \(name.text) is not in \(item)")
                }
                #expect(argument.abstract?.isEmpty == false, "\(command.commandName) \(item) has no help")
            }
        }
    }

    @Test("culvert(1) has each exit code")
    func exitCodes() throws {
        let page = try #require(try Self.pages()["culvert"])
        let section = try #require(page.split(separator: ".Sh EXIT STATUS").last?.split(separator: ".Sh ").first)
        let codes = section.split(separator: "\n").filter { $0.hasPrefix(".It ") }.compactMap { Int32($0.dropFirst(4)) }
        let expected = (0...255 as ClosedRange<Int32>).filter { $0 == 0 || ExitStatus(rawValue: $0) != nil }
        #expect(codes == expected)
    }

    @Test("text becomes sentences on lines of their own, without words that are taken for macros")
    func text() {
        #expect(MdocText("One. Two (of 2).").lines == ["One.", "Two (of 2)."])
        #expect(MdocText("See `culvert status`, and .x").lines == ["See", ".Ql culvert status ,", "and .x"])
        #expect(MdocText("'a' \\b --from").lines == ["\\&'a' \\eb \\-\\-from"])
        #expect(MdocText(".x").lines == ["\\&.x"])
        #expect(MdocText("a\nb").lines == ["a", ".Pp", "b"])
        let long = MdocText(String(repeating: "word ", count: 40)).lines
        #expect(long.count == 3 && long.allSatisfy { $0.utf8.count <= 78 })
    }

    @Test(
        "culvert.toml(5) has each key of a table once, and no other",
        arguments: [
            ("Keys of a server", ServerFile.keys),
            ("Keys of [[client]] in a server's configuration", ServerFile.clientKeys),
            ("Keys of [cluster] in a server's configuration", ClusterTable.keys),
            ("Keys of a client", ClientFile.keys),
            ("Keys of [[tunnel]] in a client's configuration", ClientFile.tunnelKeys),
            ("Keys of [[forward]] in a client's configuration", ClientFile.forwardKeys),
        ]
    )
    func keys(section: String, keys: Set<String>) throws {
        let page = try ConfigurationPage(at: Self.folder)
        #expect(page.keys(of: section).sorted() == keys.sorted())
    }

    @Test("culvert.toml(5) lists each limit with its default and its range, as the table has them")
    func limits() throws {
        var page = try ConfigurationPage(at: Self.folder)
        if ProcessInfo.processInfo.environment["CULVERT_RECORD"] == "1" { try page.record(ConfigurationPage.limits) }
        #expect(page.lines(of: ConfigurationPage.limitsTitle) == ConfigurationPage.limits)
    }

    @Test("mandoc has no error and no warning about a page", .enabled(if: Self.mustLint, "needs mandoc"))
    func lint() throws {
        let place = FileManager.default.temporaryDirectory.appendingPathComponent("culvert-man-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: place, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: place) }
        var files = [Self.folder.appendingPathComponent("culvert.toml.5").path]
        for (name, text) in try Self.pages() {
            files.append(place.appendingPathComponent("\(name).1").path)
            try text.write(toFile: files[files.count - 1], atomically: true, encoding: .utf8)
        }
        let process = Process()
        process.executableURL = URL(fileURLWithPath: try Program.mandoc.required())
        process.arguments = ["-Tlint", "-Wwarning"] + files
        let output = Pipe()
        (process.standardOutput, process.standardError) = (output, output)
        try process.run()
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        #expect(text.isEmpty && process.terminationStatus == 0, "\(text)")
    }
}

extension ManualTests {
    /// In CI a missing program is a failure.
    private static var mustLint: Bool {
        Program.mandoc.path != nil || ProcessInfo.processInfo.environment["CI"] != nil
    }
}

extension [Substring] {
    /// Each word with the one before it, joined by a space.
    fileprivate var adjacent: [String] { zip(self, dropFirst()).map { "\($0) \($1)" } }
}
