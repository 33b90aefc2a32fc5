import ArgumentParser
import Foundation
import Seal
import Testing
import TunnelClient
import TunnelCore

@testable import culvert

/// The client's options of sealed sessions.
@Suite("A client's encryption and keys")
struct ClientEncryptionTests {
    private static let keys = (1...2).compactMap {
        ServerPublicKey(rawRepresentation: [UInt8](repeating: UInt8($0), count: 32))
    }
    private static let arguments = ["ws://h", "-R", "1:x:1"]
    private static let tunnel = "[[tunnel]]\nremote = \"1\"\nlocal = \"x:1\"\n"

    private func with<T>(_ text: String, _ body: (String) throws -> T) throws -> T {
        let path = NSTemporaryDirectory() + "culvert-\(UUID().uuidString).toml"
        try ("url = \"ws://h\"\n" + text + Self.tunnel).write(toFile: path, atomically: true, encoding: .utf8)
        defer { try? FileManager.default.removeItem(atPath: path) }
        return try body(path)
    }

    private func configuration(_ text: String, _ flags: String...) throws -> ClientConfiguration {
        try with(text) { try ClientCommand.parse(["--config", $0] + flags).configuration() }
    }

    /// The lines of `culvert check`, with F for the file.
    private func lines(_ text: String, _ flags: String...) throws -> [String] {
        try with(text) { path in
            let problems = ConfigurationProblems(path, isTrial: true)
            _ = try ClientCommand.parse(["--config", path] + flags).read(problems)
            return problems.lines.map { $0.replacing(path, with: "F") }
        }
    }

    /// The words of an error of usage; nil if the flags are accepted.
    private func usage(_ flags: String...) -> String? {
        do {
            _ = try ClientCommand.parse(Self.arguments + flags)
            return nil
        } catch {
            #expect(ClientCommand.exitCode(for: error) == .validationFailure)
            return ClientCommand.message(for: error)
        }
    }

    @Test("the policy is auto by default, and a flag wins over the file")
    func policy() throws {
        #expect(try ClientCommand.parse(Self.arguments).configuration().encryption == .auto)
        for policy in EncryptionPolicy.allCases {
            #expect(try configuration("encryption = \"\(policy.rawValue)\"\n").encryption == policy)
            #expect(try configuration("encryption = \"off\"\n", "--encryption", policy.rawValue).encryption == policy)
        }
    }

    @Test("keys come from repeated flags, or from a text or a list of the file, and flags win")
    func serverKeys() throws {
        let (one, two) = (Self.keys[0], Self.keys[1])
        #expect(try ClientCommand.parse(Self.arguments).configuration().serverKeys.isEmpty)
        #expect(try configuration("server_key = \"\(one)\"\n").serverKeys == [one])
        #expect(try configuration("server_key = [\"\(two)\", \"\(one)\"]\n").serverKeys == [two, one])
        #expect(try configuration("server_key = \"\(one)\"\n", "--server-key", two.text).serverKeys == [two])
        let flags = ["--server-key", one.text, "--server-key", two.text]
        #expect(try ClientCommand.parse(Self.arguments + flags).configuration().serverKeys == [one, two])
    }

    @Test("a client remembers servers in the state folder, and none without the seal")
    func knownServers() throws {
        let path = try configuration("").knownServers?.path
        #expect(path == StateFolder.ofThisProcess.knownServers)
        #expect(try configuration("encryption = \"off\"\n").knownServers == nil)
    }

    @Test("wrong flags are errors of usage, which do not repeat a key")
    func wrongFlags() throws {
        #expect(usage("--encryption", "on") == "--encryption on: expected auto, required or off")
        let privateKey = String(ServerKey().text.dropLast())
        let wanted = "expected culvert-key-1:..., as `culvert key` prints it on the server"
        #expect(usage("--server-key", privateKey) == "--server-key: \(wanted)")
        #expect(usage("--server-key", Self.keys[0].text, "--server-key", "x") == "--server-key 2: \(wanted)")
        let key = Self.keys[0].text
        #expect(
            usage("--server-key", key, "--encryption", "off")?.hasPrefix("--server-key with --encryption off: ") == true
        )
        #expect(
            usage("--compress", "--encryption", "required")
                == "--compress with --encryption required: a sealed session is not compressed; leave out one of them"
        )
        #expect(usage("--server-key", key, "--encryption", "required") == nil)
        #expect(usage("--server-key", key, "--compress") == nil)
        #expect(usage("--compress", "--encryption", "auto") == nil)
        #expect(usage("--compress", "--encryption", "off") == nil)
    }

    @Test("check reports the same mistakes of a file with their lines")
    func check() throws {
        let key = Self.keys[0].text
        #expect(try lines("encryption = \"on\"\n") == ["F:2: encryption: expected auto, required or off"])
        let wanted = "expected culvert-key-1:..., as `culvert key` prints it on the server"
        #expect(try lines("server_key = \"x\"\n") == ["F:2: server_key: \(wanted)"])
        #expect(try lines("server_key = [\n\"\(key)\",\n\"x\",\n]\n") == ["F:4: server_key: \(wanted)"])
        let keys = try lines("encryption = \"off\"\nserver_key = \"\(key)\"\n")
        #expect(keys.count == 1 && keys[0].hasPrefix("F:3: server_key: --server-key with --encryption off: "))
        let compression = try lines("compress = true\nencryption = \"required\"\n")
        #expect(compression.count == 1 && compression[0].hasPrefix("F:2: compress: --compress with --encryption"))
        #expect(try lines("compress = true\n").isEmpty)
    }

    @Test("a flag and the file contradict each other too")
    func mixed() throws {
        let key = Self.keys[0].text
        let flag = try lines("encryption = \"off\"\n", "--server-key", key)
        #expect(flag.count == 1 && flag[0].hasPrefix("F:2: encryption: --server-key with --encryption off: "))
        let file = try lines("server_key = \"\(key)\"\n", "--encryption", "off")
        #expect(file.count == 1 && file[0].hasPrefix("F:2: server_key: "))
    }

    @Test("a mistyped key or flag gets a suggestion")
    func spelling() throws {
        #expect(try lines("server_keys = \"x\"\n") == ["F:2: server_keys: unknown key; did you mean server_key?"])
        #expect(try lines("encrypton = \"off\"\n") == ["F:2: encrypton: unknown key; did you mean encryption?"])
        let problem = OptionNames.problem(inCommandLine: ["server", "--keyfile", "x"])
        #expect(problem == "unknown option --keyfile; did you mean --key-file?")
    }
}
