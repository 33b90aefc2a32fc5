import Foundation
import Testing

@testable import TunnelAdmin
@testable import TunnelCore
@testable import culvert

@Suite("--admin")
struct AdminOptionTests {
    private func configuration(_ text: String, _ body: (String) throws -> Void) throws {
        let path = NSTemporaryDirectory() + "culvert-\(UUID().uuidString).toml"
        try text.write(toFile: path, atomically: true, encoding: .utf8)
        defer { try? FileManager.default.removeItem(atPath: path) }
        try body(path)
    }

    @Test("A server has no admin address by default, and the flag wins over the file")
    func server() throws {
        #expect(try ServerCommand.parse([]).configuration().admin.addresses.isEmpty)
        try configuration("admin = \"unix:/run/culvert/admin.sock\"\n") { path in
            let file = try ServerCommand.parse(["--config", path]).configuration()
            #expect(file.admin.addresses == [.unix(path: "/run/culvert/admin.sock")])
            let flag = try ServerCommand.parse(["--config", path, "--admin", "127.0.0.1:9100"]).configuration()
            #expect(flag.admin.addresses == [.tcp(host: "127.0.0.1", port: 9_100)])
        }
    }

    @Test("A client has no admin address by default, and the flag wins over the file")
    func client() throws {
        let text = "url = \"ws://h\"\nadmin = \"[::1]:9100\"\n[[tunnel]]\nremote = \"1\"\nlocal = \"x:1\"\n"
        try configuration(text) { path in
            let file = try ClientCommand.parse(["--config", path]).configuration()
            #expect(file.admin.addresses == [.tcp(host: "::1", port: 9_100)])
            let flag = try ClientCommand.parse(["--config", path, "--admin", "unix:/x"]).configuration()
            #expect(flag.admin.addresses == [.unix(path: "/x")])
        }
    }

    @Test("Both roles take several addresses, by a repeated flag or a list, and none switches the standard socket off")
    func several() throws {
        let both: [ListenAddress] = [.unix(path: "/x"), .tcp(host: "127.0.0.1", port: 9_100)]
        let flags = ["--admin", "unix:/x", "--admin", "127.0.0.1:9100"]
        #expect(try ServerCommand.parse(flags).configuration().admin.addresses == both)
        #expect(try ClientCommand.parse(["ws://h", "-R", "1:x:1"] + flags).configuration().admin.addresses == both)
        try configuration("admin = [\"unix:/x\", \"127.0.0.1:9100\"]\n") { path in
            #expect(try ServerCommand.parse(["--config", path]).configuration().admin.addresses == both)
            let none = try ServerCommand.parse(["--config", path, "--admin", "none"]).configuration().admin
            #expect(none.isEmpty)
        }
        let places = { (texts: [String]) in
            try AdminOption.places(texts, standardSocket: "/run/c/s") { Failure(.configuration, $0) }
        }
        #expect(try places([]) == AdminPlaces(standardSocket: "/run/c/s"))
        #expect(try places(["unix:/x"]).all == [.unix(path: "/x"), .unix(path: "/run/c/s")])
        #expect(try places(["none", "unix:/x"]) == AdminPlaces([.unix(path: "/x")]))
        #expect(try places(["unix:/run/c/t"]).all == [.unix(path: "/run/c/t")])
    }

    @Test("A client with -W has no standard socket")
    func stdio() throws {
        #expect(try ClientCommand.parse(["ws://h", "-W", "x:1"]).configuration().admin.isEmpty)
    }

    @Test("A malformed address is refused, with its line in a file")
    func malformed() throws {
        #expect(throws: Failure.self) { try ServerCommand.parse(["--admin", "9100"]).configuration() }
        try configuration("path = \"/t\"\nadmin = \"somewhere\"\n") { path in
            do {
                _ = try ServerCommand.parse(["--config", path]).configuration()
                Issue.record("it was accepted")
            } catch let failure as Failure {
                #expect(failure.description.hasPrefix("\(path):2: admin: expected ADDR:PORT"), "\(failure)")
            }
        }
    }

    @Test("Status and kick accept only a unix socket")
    func commands() throws {
        #expect(throws: (any Error).self) { try StatusCommand.parse(["--admin", "127.0.0.1:1"]) }
        #expect(throws: (any Error).self) { try KickCommand.parse(["x", "--admin", "127.0.0.1:1"]) }
        #expect(throws: (any Error).self) { try KickCommand.parse([""]) }
        #expect(throws: (any Error).self) { try KickCommand.parse([]) }
    }
}
