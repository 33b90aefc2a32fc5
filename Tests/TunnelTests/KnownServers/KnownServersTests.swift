import Foundation
import Platform
import Seal
import TestSupport
import Testing

@testable import TunnelClient

@Suite("The file of known servers")
struct KnownServersTests {
    private static func key(_ number: UInt8) throws -> ServerPublicKey {
        try #require(ServerPublicKey(rawRepresentation: [UInt8](repeating: number, count: 32)))
    }

    /// Calls `body` with the path of a file that is not there, in a folder that is not there.
    private func with(_ body: (String) throws -> Void) throws {
        let folder = NSTemporaryDirectory() + "culvert-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try body("\(folder)/state/culvert/known_servers")
    }

    private func make(_ path: String, _ text: String) throws {
        let folder = (path as NSString).deletingLastPathComponent
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try Data(text.utf8).write(to: URL(fileURLWithPath: path))
    }

    private func mode(_ path: String) throws -> Int {
        try #require(try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int)
    }

    @Test("without a file nothing is known, nothing is made, and nothing is wrong")
    func missing() throws {
        try with { path in
            let servers = KnownServers(path: path)
            #expect(servers.keys(of: "a:1").isEmpty)
            #expect(servers.takeProblem() == nil)
            #expect(!FileManager.default.fileExists(atPath: (path as NSString).deletingLastPathComponent))
        }
    }

    @Test("a remembered key is a line of a file that its user alone reads, in folders that its user alone enters")
    func remembered() throws {
        let key = try Self.key(1)
        try with { path in
            let servers = KnownServers(path: path)
            #expect(servers.remember(key, of: "Tunnel.example:443"))
            #expect(servers.keys(of: "tunnel.example:443") == [key])
            let text = try String(contentsOfFile: path, encoding: .utf8)
            #expect(text == "tunnel.example:443 \(key)\n")
            let folder = (path as NSString).deletingLastPathComponent
            let modes = try [path, folder, (folder as NSString).deletingLastPathComponent].map(mode)
            #expect(modes == [0o600, 0o700, 0o700])
            #expect(servers.takeProblem() == nil)
        }
    }

    @Test("the same key is not written twice, and another one is refused")
    func again() throws {
        let (one, two) = (try Self.key(1), try Self.key(2))
        try with { path in
            let (servers, another) = (KnownServers(path: path), KnownServers(path: path))
            #expect(servers.remember(one, of: "a:1") && another.remember(one, of: "A:1"))
            #expect(!another.remember(two, of: "a:1"))
            let text = try String(contentsOfFile: path, encoding: .utf8)
            #expect(text == "a:1 \(one)\n")
        }
    }

    @Test("a key that another process has added, and a line that was removed, count at the next question")
    func readAnew() throws {
        let (one, two) = (try Self.key(1), try Self.key(2))
        try with { path in
            let servers = KnownServers(path: path)
            #expect(servers.remember(one, of: "a:1"))
            try make(path, "a:1 \(one)\na:1 \(two)\n")
            #expect(servers.keys(of: "a:1") == [one, two])
            try make(path, "")
            #expect(servers.keys(of: "a:1").isEmpty)
            #expect(unlink(path) == 0)
            #expect(servers.remember(two, of: "a:1"))
            #expect(servers.keys(of: "a:1") == [two])
        }
    }

    @Test("a last line without its end stays whole")
    func withoutLineEnd() throws {
        let (one, two) = (try Self.key(1), try Self.key(2))
        try with { path in
            try make(path, "# mine\na:1 \(one)")
            #expect(KnownServers(path: path).remember(two, of: "b:1"))
            #expect(try String(contentsOfFile: path, encoding: .utf8) == "# mine\na:1 \(one)\nb:1 \(two)\n")
        }
    }

    @Test("of several threads that meet a server at once with different keys, one key is remembered")
    func race() async throws {
        let folder = NSTemporaryDirectory() + "culvert-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let path = "\(folder)/known_servers"
        let keys = try (1...6).map(Self.key)
        let accepted = try await withThrowingTaskGroup(of: ServerPublicKey?.self) { tasks in
            for key in keys {
                tasks.addTask {
                    try await onThread { KnownServers(path: path).remember(key, of: "a:1") ? key : nil }
                }
            }
            var accepted: [ServerPublicKey] = []
            for try await case let key? in tasks { accepted.append(key) }
            return accepted
        }
        #expect(accepted.count == 1)
        #expect(KnownServers(path: path).keys(of: "a:1") == accepted)
    }

    @Test("a malformed line is one problem with the file and the line, until another line is malformed")
    func malformed() throws {
        let key = try Self.key(1)
        try with { path in
            try make(path, "a:1 \(key)\nnonsense\n")
            let servers = KnownServers(path: path)
            #expect(servers.keys(of: "a:1") == [key])
            let problem = try #require(servers.takeProblem())
            #expect(problem.hasPrefix("\(path): line 2: expected HOST:PORT and a key"))
            #expect(servers.keys(of: "a:1") == [key])
            #expect(servers.takeProblem() == nil)
            try make(path, "x\na:1 \(key)\nnonsense\n")
            #expect(servers.keys(of: "a:1") == [key])
            #expect(servers.takeProblem()?.hasPrefix("\(path): line 1 and 1 more: ") == true)
        }
    }

    @Test("a file that cannot be read any more is one problem, and what it had still counts")
    func unreadable() throws {
        let key = try Self.key(1)
        try with { path in
            try make(path, "a:1 \(key)\n")
            let servers = KnownServers(path: path)
            #expect(servers.keys(of: "a:1") == [key])
            // Also root cannot read a folder as a file.
            #expect(unlink(path) == 0 && mkdir(path, 0o700) == 0)
            #expect(servers.keys(of: "a:1") == [key])
            #expect(servers.takeProblem() == "\(path): it is not an ordinary file; new keys in it do not count")
            #expect(servers.keys(of: "a:1") == [key])
            #expect(servers.takeProblem() == nil)
            #expect(rmdir(path) == 0)
            #expect(servers.keys(of: "a:1").isEmpty)
            #expect(mkdir(path, 0o700) == 0)
            _ = servers.keys(of: "a:1")
            #expect(servers.takeProblem() != nil, "it has come back")
        }
    }

    @Test("a key that cannot be written counts for the run, and is one problem")
    func unwritable() throws {
        let (one, two) = (try Self.key(1), try Self.key(2))
        try with { path in
            try make("\(path)/file", "")
            let servers = KnownServers(path: "\(path)/file/known_servers")
            #expect(servers.remember(one, of: "a:1"))
            let problem = try #require(servers.takeProblem())
            #expect(problem.hasPrefix("\(path)/file/known_servers: the server's key is remembered for this run only: "))
            #expect(servers.keys(of: "a:1") == [one])
            #expect(!servers.remember(two, of: "a:1"))
            #expect(servers.keys(of: "a:1") == [one])
            #expect(servers.keys(of: "b:1").isEmpty)
        }
    }

    @Test("a list that is only read keeps what it learns for its run, and leaves the file as it is")
    func readOnly() throws {
        let (one, two) = (try Self.key(1), try Self.key(2))
        try with { path in
            try make(path, "a:1 \(one)\n")
            let servers = KnownServers(path: path, isReadOnly: true)
            #expect(servers.remember(two, of: "b:1"))
            #expect(!servers.remember(two, of: "a:1"))
            #expect(servers.keys(of: "a:1") == [one] && servers.keys(of: "b:1") == [two])
            #expect(try String(contentsOfFile: path, encoding: .utf8) == "a:1 \(one)\n")
        }
    }

    @Test("a file at the limit takes no further line, and a longer one is not read")
    func long() throws {
        let key = try Self.key(1)
        try with { path in
            let line = "a:1 \(key)\n"
            let padding = String(repeating: "#", count: KnownServersFile.longestFile - line.utf8.count - 1) + "\n"
            try make(path, padding + line)
            let servers = KnownServers(path: path)
            #expect(servers.keys(of: "a:1") == [key])
            #expect(servers.takeProblem() == nil)
            #expect(servers.remember(key, of: "b:1"))
            #expect(servers.takeProblem()?.hasSuffix("it is longer than 1048576 bytes") == true)
            #expect(try Data(contentsOf: URL(fileURLWithPath: path)).count == KnownServersFile.longestFile)
            try make(path, "#" + padding + line)
            #expect(KnownServers(path: path).keys(of: "a:1").isEmpty)
        }
    }

    @Test("a pipe does not hold the client up")
    func pipe() throws {
        try with { path in
            try make(path + "-", "")
            #expect(mkfifo(path, 0o600) == 0)
            let servers = KnownServers(path: path)
            #expect(servers.keys(of: "a:1").isEmpty)
            #expect(servers.takeProblem() != nil)
        }
    }

    @Test("a lock that another process keeps costs a tenth of a second, and the key counts for the run")
    func locked() throws {
        let key = try Self.key(1)
        try with { path in
            try make(path, "")
            let holder = open(path, O_RDONLY | O_CLOEXEC)
            defer { close(holder) }
            #expect(flock(holder, LOCK_EX) == 0)
            let servers = KnownServers(path: path)
            #expect(servers.remember(key, of: "a:1"))
            #expect(servers.takeProblem()?.hasSuffix("another process has locked it") == true)
            #expect(servers.keys(of: "a:1") == [key])
        }
    }

    @Test("a text that is not HOST:PORT is not remembered", arguments: ["a", "", "a:1\nb:1", "a b:1", "::1:1"])
    func noAuthority(text: String) throws {
        let key = try Self.key(1)
        try with { path in
            let servers = KnownServers(path: path)
            servers.remember(key, of: text)
            #expect(servers.takeProblem() != nil)
            #expect(servers.keys(of: text).isEmpty)
            #expect(!FileManager.default.fileExists(atPath: path))
        }
    }
}
