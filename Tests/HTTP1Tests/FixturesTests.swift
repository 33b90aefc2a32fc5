import Foundation
import TestSupport
import Testing

@Suite("Kept requests")
struct FixturesTests {
    /// The files of a folder in Fixtures, found by walking up from this file.
    static func files(_ folder: String) -> [URL] {
        var root = URL(fileURLWithPath: #filePath).resolvingSymlinksInPath()
        while root.path != "/" {
            root.deleteLastPathComponent()
            let found = root.appendingPathComponent("Fixtures/\(folder)")
            if let files = try? FileManager.default.contentsOfDirectory(at: found, includingPropertiesForKeys: nil) {
                return files.sorted { $0.path < $1.path }
            }
        }
        return []
    }

    @Test("Each file in accept is one whole head, however it is split", arguments: files("http1/accept"))
    func accepted(_ file: URL) throws {
        everySplit(of: [UInt8](try Data(contentsOf: file))) { pieces, how in
            let parsed = parseRequest(pieces)
            #expect(parsed.head != nil, "\(file.lastPathComponent) \(how)")
            #expect(parsed.leftover.isEmpty, "\(file.lastPathComponent) \(how)")
        }
    }

    @Test("Each file in reject fails with one error, however it is split", arguments: files("http1/reject"))
    func rejected(_ file: URL) throws {
        let bytes = [UInt8](try Data(contentsOf: file))
        let expected = try #require(parseRequest([bytes]).error, "\(file.lastPathComponent)")
        everySplit(of: bytes) { pieces, how in
            #expect(parseRequest(pieces).error == expected, "\(file.lastPathComponent) \(how)")
        }
    }

    @Test("The folders were found")
    func found() {
        #expect(!Self.files("http1/accept").isEmpty)
        #expect(!Self.files("http1/reject").isEmpty)
    }
}
