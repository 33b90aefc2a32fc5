import Foundation
import Platform
import Seal
import TestSupport
import Testing
import TunnelCore
import TunnelServer

@testable import culvert

/// The server's key: its file, and what a start does without one.
@Suite("The server's key")
struct ServerKeyTests {
    /// A folder that is removed afterwards.
    private func with(_ body: (String) throws -> Void) throws {
        let folder = NSTemporaryDirectory() + "culvert-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try body(folder)
    }

    private func write(_ text: String, _ path: String, mode: Int = 0o600) throws {
        try Data(text.utf8).write(to: URL(fileURLWithPath: path))
        try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path)
    }

    private func mode(_ path: String) throws -> Int {
        try #require(try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int)
    }

    /// The reason why a file has no key, with F for its path; nil if it has one.
    private func problem(_ path: String) -> (text: String, isMistake: Bool)? {
        do throws(ServerKeyFile.Unusable) {
            _ = try ServerKeyFile(path: path).key()
            return nil
        } catch {
            return (error.text.replacing(path, with: "F"), error.isMistake)
        }
    }

    // MARK: The file

    @Test("a missing file is made with a new key, for its user alone, and then read")
    func made() throws {
        try with { folder in
            let file = ServerKeyFile(path: "\(folder)/a/b/server.key")
            let trial = try file.key(isTrial: true)
            #expect(trial.key == nil && !FileManager.default.fileExists(atPath: "\(folder)/a"))
            let first = try file.key()
            let second = try file.key()
            #expect(first.key != nil && first.key == second.key)
            #expect(first.isNew && !second.isNew)
            #expect(try mode(file.path) == 0o600)
            #expect(try mode("\(folder)/a") == 0o700)
            #expect(try mode("\(folder)/a/b") == 0o700)
            #expect(try FileManager.default.contentsOfDirectory(atPath: "\(folder)/a/b") == ["server.key"])
            #expect(try String(contentsOfFile: file.path, encoding: .utf8) == first.key?.text)
        }
    }

    @Test("of several makers at once, one makes the file, and all have its key")
    func race() async throws {
        let folder = NSTemporaryDirectory() + "culvert-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let path = "\(folder)/state/server.key"
        let results = try await withThrowingTaskGroup(of: (key: ServerKey?, isNew: Bool).self) { tasks in
            for _ in 0..<8 { tasks.addTask { try await onThread { try ServerKeyFile(path: path).key() } } }
            var results: [(key: ServerKey?, isNew: Bool)] = []
            for try await result in tasks { results.append(result) }
            return results
        }
        #expect(results.filter(\.isNew).count == 1)
        #expect(Set(results.map { $0.key?.publicKey }).count == 1 && results[0].key != nil)
        #expect(try FileManager.default.contentsOfDirectory(atPath: "\(folder)/state") == ["server.key"])
    }

    @Test(
        "a file that others can read or write is refused, with a remedy",
        arguments: [(0o640, true), (0o604, true), (0o620, true), (0o644, true), (0o600, false), (0o400, false)]
    )
    func rights(mode: Int, isRefused: Bool) throws {
        try with { folder in
            let path = "\(folder)/server.key"
            try write(ServerKey().text, path, mode: mode)
            let problem = self.problem(path)
            #expect((problem != nil) == isRefused)
            guard let problem else { return }
            #expect(problem.isMistake)
            #expect(problem.text.hasPrefix("others on this machine can read the key file F; chmod 600 it"))
        }
    }

    @Test(
        "a malformed file is refused, and its content is not repeated",
        arguments: [
            "", "\n", "culvert-private-key-1:", "KEYKEY", " KEY", "KEY\n\n", "KEY\r\n", "# mine\nKEY\n", "PUBLIC\n",
            String(repeating: "x", count: 2_000), "\u{0}",
        ]
    )
    func malformed(text: String) throws {
        try with { folder in
            let (key, path) = (ServerKey(), "\(folder)/server.key")
            let line = String(key.text.dropLast())
            try write(text.replacing("KEY", with: line).replacing("PUBLIC", with: key.publicKey.text), path)
            let problem = try #require(self.problem(path))
            #expect(problem.isMistake && problem.text.hasSuffix("; restore it from a backup"), "\(problem)")
            #expect(problem.text.firstRange(of: String(line.suffix(44))) == nil)
            #expect(problem.text.firstRange(of: "the key file F ") != nil)
        }
    }

    @Test("a key without a line end is a key")
    func withoutLineEnd() throws {
        try with { folder in
            let (key, path) = (ServerKey(), "\(folder)/server.key")
            try write(String(key.text.dropLast()), path)
            #expect(try ServerKeyFile(path: path).key().key == key)
        }
    }

    @Test("a folder that cannot be written gives the reason and a remedy")
    func unwritable() throws {
        try with { folder in
            // Also root can make nothing behind a link that leads nowhere.
            #expect(symlink("\(folder)/nowhere", "\(folder)/link") == 0)
            let unmade = try #require(self.problem("\(folder)/link/server.key"))
            #expect(unmade.text.hasPrefix("the key file F cannot be made: Not a directory; choose a file"))
            try write("", "\(folder)/file")
            let unread = try #require(self.problem("\(folder)/file/server.key"))
            #expect(unread.text.hasPrefix("the key file F cannot be read: Not a directory; choose a file"))
            #expect(!unmade.isMistake && !unread.isMistake)
        }
    }

    // MARK: A start

    /// The server's key, its policy, or the error of a start with exit code 78.
    private func start(_ arguments: [String], state: String?) throws -> Result<ServerConfiguration, Failure> {
        let folder = state.map { StateFolder(["STATE_DIRECTORY": $0]) }
        do {
            return .success(try ServerCommand.parse(arguments).configuration(folder))
        } catch let failure as Failure {
            #expect(failure.status == .configuration, "\(failure)")
            return .failure(failure)
        }
    }

    @Test("a server has the key of the state folder, and a flag or the configuration names another file")
    func places() throws {
        try with { folder in
            let state = "\(folder)/state"
            let first = try start([], state: state).get()
            #expect(first.encryption == .auto)
            #expect(try ServerKeyFile(path: "\(state)/server.key").key().key == first.serverKey)
            let flag = try start(["--key-file", "\(folder)/flag"], state: state).get()
            #expect(flag.serverKey != first.serverKey)
            #expect(try ServerKeyFile(path: "\(folder)/flag").key().key == flag.serverKey)
            try write("key_file = \"\(folder)/file\"\nencryption = \"required\"\n", "\(folder)/toml")
            let file = try start(["--config", "\(folder)/toml"], state: state).get()
            #expect(file.encryption == .required)
            #expect(try ServerKeyFile(path: "\(folder)/file").key().key == file.serverKey)
            let both = ["--config", "\(folder)/toml", "--key-file", "\(folder)/flag", "--encryption", "auto"]
            #expect(try start(both, state: state).get().serverKey == flag.serverKey)
            #expect(try start(both, state: state).get().encryption == .auto)
        }
    }

    @Test("encryption off touches no file, and neither does a start that fails")
    func untouched() throws {
        try with { folder in
            let off = try start(["--encryption", "off", "--key-file", "\(folder)/a"], state: "\(folder)/state").get()
            #expect(off.encryption == .off && off.serverKey == nil)
            #expect(throws: Failure.self) {
                try start(["--allow-ports", "x", "--key-file", "\(folder)/a"], state: "\(folder)/state").get()
            }
            #expect(throws: Failure.self) {
                try start(["--encryption", "sometimes"], state: "\(folder)/state").get()
            }
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder).isEmpty)
        }
    }

    @Test("without a usable file, auto starts without a key, and required does not start")
    func unusable() throws {
        try with { folder in
            #expect(symlink("\(folder)/nowhere", "\(folder)/link") == 0)
            for (state, text) in [("\(folder)/link", "cannot be made: "), (nil, "HOME is not set")] {
                #expect(try start([], state: state).get().serverKey == nil)
                guard case .failure(let failure) = try start(["--encryption", "required"], state: state) else {
                    Issue.record("required started")
                    continue
                }
                #expect(failure.description.firstRange(of: text) != nil, "\(failure)")
            }
            let unmade = try start(["--key-file", "\(folder)/link/key"], state: nil).get()
            #expect(unmade.serverKey == nil, "a file that cannot be made is no mistake")
        }
    }

    @Test("a mistake in the key's file stops a start, in the default file and in a named one")
    func mistakes() throws {
        try with { folder in
            try write("nonsense", "\(folder)/server.key")
            for options in [[], ["--encryption", "required"]] {
                #expect(throws: Failure.self) { try start(options, state: folder).get() }
            }
            #expect(throws: Failure.self) { try start(["--key-file", "\(folder)/server.key"], state: nil).get() }
            try write(ServerKey().text, "\(folder)/readable", mode: 0o644)
            try write("path = \"/x\"\nkey_file = \"\(folder)/readable\"\n", "\(folder)/toml")
            guard case .failure(let failure) = try start(["--config", "\(folder)/toml"], state: nil) else {
                Issue.record("it started")
                return
            }
            #expect(failure.description.hasPrefix("\(folder)/toml:2: key_file: others on this machine can read"))
        }
    }

    @Test("check makes no file, and reports what a start would")
    func check() throws {
        try with { folder in
            let toml = "\(folder)/toml"
            let lines = { (text: String) in
                try write(text, toml)
                let problems = ConfigurationProblems(toml, isTrial: true)
                _ = try ServerCommand.parse(["--config", toml]).read(problems, StateFolder(["STATE_DIRECTORY": folder]))
                return problems.lines.map { $0.replacing(folder, with: "D") }
            }
            #expect(try lines("path = \"/x\"\n").isEmpty)
            #expect(try lines("key_file = \"\(folder)/a\"\n").isEmpty)
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["toml"])
            #expect(
                try lines("encryption = \"off\"\nkey_file = \"x\"\n")
                    == ["D/toml:2: warning: key_file: it has no effect with encryption = \"off\""]
            )
            #expect(
                try lines("encryption = \"required\"\ncompress_shared = true\n")
                    == ["D/toml:2: warning: compress_shared: it has no effect with encryption = \"required\""]
            )
            #expect(try lines("encryption = \"on\"\n") == ["D/toml:1: encryption: expected auto, required or off"])
            try write("nonsense", "\(folder)/server.key")
            let missing = try lines("path = \"/x\"\n")
            #expect(
                missing.count == 1 && missing[0].hasPrefix("D/toml: the key file D/server.key does not"),
                "\(missing)"
            )
            let mistake = try lines("key_file = \"\(folder)/server.key\"\n")
            #expect(mistake.count == 1 && mistake[0].hasPrefix("D/toml:1: key_file: the key file D/server.key does"))
        }
    }
}
