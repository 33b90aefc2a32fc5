import Foundation
import ProxyConnect
import Testing

/// A transcript begins with `expect: established|refused|policy|other`. Each input has a line: `--- says` (the proxy's
/// bytes follow, up to the next such line), `--- closes`, or `--- has no ticket` for the user's machine.
@Suite("Transcripts of proxies")
struct TranscriptTests {
    static func files() -> [URL] {
        var root = URL(fileURLWithPath: #filePath).resolvingSymlinksInPath()
        while root.path != "/" {
            root.deleteLastPathComponent()
            let found = root.appendingPathComponent("Fixtures/proxy")
            if let files = try? FileManager.default.contentsOfDirectory(at: found, includingPropertiesForKeys: nil) {
                return files.filter { $0.pathExtension == "transcript" }.sorted { $0.path < $1.path }
            }
        }
        return []
    }

    private func outcome(_ script: Script) -> String {
        if let error = script.lastError {
            return error.isCredentialRefusal ? "refused" : error.isPolicyRefusal ? "policy" : "other"
        }
        guard case .established = script.events.last else { return "nothing" }
        return "established"
    }

    @Test("Each transcript ends as expected, whole, byte by byte and at every split", arguments: files())
    func replay(_ file: URL) async throws {
        let text = String(decoding: try Data(contentsOf: file), as: UTF8.self)
        let parts = text.components(separatedBy: "--- ")
        let expected = try #require(parts.first).replacingOccurrences(of: "expect: ", with: "").dropLast()
        let inputs: [Input] = parts.dropFirst().map { part in
            if part.hasPrefix("has no ticket") {
                return .ticket(.failure(TicketFailure(reason: "no credentials cache found", remedy: "run kinit")))
            }
            return part.hasPrefix("says\n") ? .says(String(decoding: part.utf8.dropFirst(5), as: UTF8.self)) : .closes
        }
        var whole = Script(try makeExchange())
        whole.play(inputs)
        #expect(outcome(whole) == expected, "\(file.lastPathComponent): \(whole.events)")
        var bytes = Script(try makeExchange())
        bytes.play(inputs) { $0.map { [$0] } }
        #expect(outcome(bytes) == expected, "\(file.lastPathComponent) byte by byte: \(bytes.events)")
        let longest = parts.map(\.utf8.count).max() ?? 0
        for cut in 1..<max(2, longest - 4) {
            // Tests share a few threads.
            await Task.yield()
            var halves = Script(try makeExchange())
            halves.play(inputs) { [Array($0.prefix(cut)), Array($0.dropFirst(cut))] }
            #expect(outcome(halves) == expected, "\(file.lastPathComponent) cut at \(cut): \(halves.events)")
        }
    }

    @Test("The folder has files")
    func found() {
        #expect(!Self.files().isEmpty)
    }
}
