import Foundation
import TestSupport
import Testing

@Suite("Requests in Fixtures")
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

    @Test("Each file in accept is one whole head, at every split", arguments: files("http1/accept"))
    func accepted(_ file: URL) throws {
        everySplit(of: [UInt8](try Data(contentsOf: file))) { chunks, how in
            let parsed = parseRequest(chunks)
            #expect(parsed.head != nil, "\(file.lastPathComponent) \(how)")
            #expect(parsed.leftover.isEmpty, "\(file.lastPathComponent) \(how)")
        }
    }

    @Test("Each file in reject fails with the same error at every split", arguments: files("http1/reject"))
    func rejected(_ file: URL) throws {
        let bytes = [UInt8](try Data(contentsOf: file))
        let expected = try #require(parseRequest([bytes]).error, "\(file.lastPathComponent)")
        everySplit(of: bytes) { chunks, how in
            #expect(parseRequest(chunks).error == expected, "\(file.lastPathComponent) \(how)")
        }
    }

    @Test("The folders have files")
    func found() {
        #expect(!Self.files("http1/accept").isEmpty)
        #expect(!Self.files("http1/reject").isEmpty)
    }
}
