import Foundation
import TestSupport

/// A proxy that inspects TLS, and writes what it reads into files. See Fixtures/bumping-proxy.
struct RecordingProxy {
    let port: UInt16
    /// The folder of its records: for each connection a file of heads, and one for each direction.
    let folder: String

    /// The URL for `--proxy`.
    var url: String { "http://127.0.0.1:\(port)" }

    /// Starts the proxy, with a certificate of an inspector for `localhost`.
    static func start(in scenario: Scenario, _ inspector: IssuedCertificate) async throws -> RecordingProxy {
        let leaf = try await IssuedCertificate.make(
            .leaf("DNS:localhost"),
            by: inspector,
            in: scenario,
            named: "inspected"
        )
        let (port, folder) = (try FreePorts.next(), try scenario.folder("records"))
        let process = try scenario.start(
            "recorder",
            [
                try Program.python.required(), try script(), "serve", "\(port)", leaf.certificate, leaf.key, folder,
            ],
            isKilled: true
        )
        try await waitUntilListening(port, process)
        return RecordingProxy(port: port, folder: folder)
    }

    /// The path of the program.
    fileprivate static func script() throws -> String { try Fixture.url("bumping-proxy/recorder.py").path }
}

/// Something that files of an inspector are searched for.
struct Needle: Hashable, CustomStringConvertible {
    /// The line for the search.
    private let line: String
    let description: String

    /// A text, or bytes that are described by another text.
    init(_ text: String, bytes: [UInt8]? = nil) {
        let digits = (bytes ?? Array(text.utf8)).map { byte in (byte < 16 ? "0" : "") + String(byte, radix: 16) }
        line = "bytes " + digits.joined()
        description = text
    }

    /// A number in decimal digits, with other characters around it.
    init(_ number: UInt16) {
        line = "number \(number)"
        description = "\(number)"
    }

    /// What a search has found.
    struct Findings {
        /// The bytes of all files.
        let bytes: Int
        /// The needles, each with the names of the files that contain it.
        let files: [Needle: Set<String>]
    }

    /// Searches all files of a folder and of the folders in it.
    static func search(_ needles: [Needle], in folder: String, _ scenario: Scenario) async throws -> Findings {
        let file = "\(scenario.directory)/needles"
        try scenario.write(needles.map(\.line).joined(separator: "\n"), to: file)
        let arguments = [try RecordingProxy.script(), "search", folder, file]
        let lines = try await scenario.run(.python, arguments, within: .seconds(300)).split(separator: "\n")
        guard let bytes = lines.first.flatMap({ Int($0) }) else {
            throw ScenarioFailure(description: "no number of bytes: \(lines)")
        }
        var files: [Needle: Set<String>] = [:]
        for line in lines.dropFirst() {
            let words = line.split(separator: " ", maxSplits: 2).map(String.init)
            guard let needle = needles.first(where: { $0.line == words.prefix(2).joined(separator: " ") }),
                let name = words.last
            else { throw ScenarioFailure(description: "an unknown needle: \(line)") }
            files[needle, default: []].insert(name)
        }
        return Findings(bytes: bytes, files: files)
    }
}
