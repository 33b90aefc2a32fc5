import Foundation
import TestSupport
import Testing

/// What crosses a session in tests of proxies that inspect: files by curl and scp, a session of ssh, and a request to a
/// host name.
struct InspectedTraffic {
    /// The size of each transfer; 100 MB with `CULVERT_HEAVY=1`.
    static var bytes: Int { TestRun.isHeavy ? 100_000_000 : 4_000_000 }

    private static let typed = "typed-by-\(Int.random(in: 100_000...999_999))"
    private static let name = "wiki-of-alma"

    private let root: String
    private let pattern: [UInt8]
    private let files: Nginx
    private let sshd: Sshd

    /// The values of `-R`.
    var remotes: [String] {
        ["0:localhost:\(files.port)", "0:localhost:\(sshd.port)", "http:\(Self.name):localhost:\(files.port)"]
    }

    /// Starts the services, and writes the files.
    static func start(in scenario: Scenario) async throws -> InspectedTraffic {
        let root = try scenario.folder("files")
        let block = randomBytes(65_536)
        for name in ["secret-down", "secret-up"] {
            let path = "\(root)/\(name)"
            _ = FileManager.default.createFile(atPath: path, contents: nil)
            let file = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
            for start in stride(from: 0, to: bytes, by: block.count) {
                try file.write(contentsOf: Data(block).prefix(bytes - start))
            }
            try file.close()
        }
        return InspectedTraffic(
            root: root,
            pattern: block,
            files: try await Nginx.files(in: root, of: scenario),
            sshd: try await Sshd.start(in: scenario)
        )
    }

    /// What no inspector may see.
    struct Secrets {
        /// Each is in the messages of a session that is not sealed.
        var readable: [Needle]
        /// These may be in none.
        var others: [Needle]
    }

    /// Runs all of it at once, and requires exact results.
    func run(_ client: CulvertClient, _ names: NameServer, _ scenario: Scenario) async throws -> Secrets {
        let (filesPort, sshPort) = (try await client.tunnel(to: files.port), try await client.tunnel(to: sshd.port))
        _ = try await client.name("\(Self.name).example.test")
        try await transfer(filesPort, sshPort, scenario)
        try await type(sshPort, scenario)
        let (status, visitorPort) = try await onThread {
            let visitor = try names.visit()
            let status = try visitor.get("/secret-page", host: "\(Self.name).example.test").status
            let other = HTTPConnection(try TCPSocket(port: filesPort))
            #expect(try other.get("/secret-visit", host: "wiki").status == 404)
            return (status, other.socket.localPort)
        }
        #expect(status == 404)
        // Pieces, of which any 1 KiB of the pattern has one.
        let pieces = stride(from: 0, to: pattern.count, by: 1_000).map {
            Needle("the pattern from \($0) on", bytes: Array(pattern[$0..<$0 + 16]))
        }
        let texts = [
            "GET /secret-down", "PUT /secret-up", "GET /secret-page", "GET /secret-visit", "SSH-2.0-OpenSSH", Self.name,
            "127.0.0.1:\(visitorPort)",
        ]
        let bound = [filesPort, sshPort].map {
            Needle("port \($0) of BOUND", bytes: [UInt8(ascii: "1"), 3, 0, 2, UInt8($0 >> 8), UInt8($0 & 0xFF)])
        }
        return Secrets(
            readable: pieces + texts.map { Needle($0) } + bound
                + [Needle("the host key", bytes: try sshd.hostKey())],
            // SSH encrypts what is typed. A service's port stays with the client.
            others: [Needle(Self.typed)]
                + [filesPort, sshPort, files.port, sshd.port, visitorPort, names.http].map { Needle($0) }
        )
    }

    /// Types a line at a program that ssh has started, and requires its answer.
    private func type(_ port: UInt16, _ scenario: Scenario) async throws {
        let input = try InputPipe()
        let ssh = try sshd.run(
            "while read -r line; do echo \"heard $line\"; done",
            port: port,
            in: scenario,
            input: .pipe(input)
        )
        try input.send("\(Self.typed)\n")
        _ = try await ssh.line { $0 == "heard \(Self.typed)" }
        input.finish()
        #expect(try await ssh.exitStatus() == .exited(0), "\(ssh)")
    }

    /// Uploads, downloads and copies by ssh at once, and requires exact files.
    private func transfer(_ filesPort: UInt16, _ sshPort: UInt16, _ scenario: Scenario) async throws {
        let silent = ["--silent", "--show-error", "--fail", "--noproxy", "*"]
        let url = "http://127.0.0.1:\(filesPort)"
        let limit = Duration.seconds(600)
        async let download = scenario.run(
            .curl,
            silent + ["-o", "\(root)/down.got", "\(url)/secret-down"],
            within: limit
        )
        async let upload = scenario.run(
            .curl,
            silent + ["-T", "\(root)/secret-up", "\(url)/secret-up.got"],
            within: limit
        )
        let copy = try sshd.copy("\(root)/secret-up", to: "\(root)/ssh.got", port: sshPort, in: scenario)
        #expect(try await copy.exitStatus(within: limit) == .exited(0), "\(copy)")
        _ = try await (download, upload)
        for (sent, got) in [("secret-down", "down.got"), ("secret-up", "secret-up.got"), ("secret-up", "ssh.got")] {
            #expect(
                FileManager.default.contentsEqual(atPath: "\(root)/\(sent)", andPath: "\(root)/\(got)"),
                "\(got)"
            )
        }
    }
}
