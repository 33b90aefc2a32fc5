import Foundation
import NIOCore
import NIOPosix
import Testing

@testable import TunnelCore
@testable import culvert

@Suite("The standard admin socket")
struct StandardSocketTests {
    @Test(
        "Its folder is the unit's, or the user's",
        arguments: [
            (["RUNTIME_DIRECTORY": "/run/culvert:/run/culvert/sockets"], "/run/culvert/server.sock"),
            (["RUNTIME_DIRECTORY": "/run/x", "XDG_RUNTIME_DIR": "/run/user/1"], "/run/x/server.sock"),
            (["XDG_RUNTIME_DIR": "/run/user/1"], "/run/user/1/culvert/server.sock"),
        ]
    )
    func folder(_ environment: [String: String], _ path: String) {
        #expect(StandardSocket(environment).path(StandardSocket.server) == path)
    }

    @Test("A relative folder is ignored, as no folder is")
    func relative() {
        #expect(StandardSocket(["XDG_RUNTIME_DIR": "x"]).userFolder == nil)
        #expect(StandardSocket(["XDG_RUNTIME_DIR": ""]).userFolder == nil)
    }

    @Test(
        "A client's file has its name, without characters that a path interprets",
        arguments: [("", "client.sock"), ("laptop", "client-laptop.sock"), ("a/b ü", "client-a%2Fb%20%C3%BC.sock")]
    )
    func client(_ name: String, _ file: String) {
        #expect(StandardSocket.client(name: name) == file)
    }

    /// A temporary folder in which sockets of some names listen.
    private func with(_ names: [String], _ body: (String) throws -> Void) async throws {
        let folder = NSTemporaryDirectory() + "culvert-\(UInt32.random(in: 0 ... .max))"
        try FileManager.default.createDirectory(atPath: "\(folder)/culvert", withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        var channels: [any Channel] = []
        for name in names {
            let server = ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            channels.append(try await server.bind(unixDomainSocketPath: "\(folder)/culvert/\(name)").get())
        }
        let result = Result { try body(folder) }
        for channel in channels { try await channel.close() }
        try result.get()
    }

    private func search(_ folder: String) -> AdminSocketSearch {
        AdminSocketSearch(StandardSocket(["XDG_RUNTIME_DIR": folder]), systemFolder: "\(folder)/none")
    }

    @Test("A command finds the only socket that answers; a file without a process and other files do not count")
    func one() async throws {
        try await with(["server.sock"]) { folder in
            let stale = try UnixListener.open("\(folder)/culvert/client.sock")
            close(stale)
            #expect(FileManager.default.createFile(atPath: "\(folder)/culvert/file.sock", contents: nil))
            #expect(try search(folder).only() == "\(folder)/culvert/server.sock")
        }
    }

    @Test("Of several sockets it lists the roles and their names, and a command for servers takes the server's")
    func several() async throws {
        try await with(["client-a%2Fb.sock", "client.sock", "server.sock"]) { folder in
            let failure = #expect(throws: Failure.self) { try search(folder).only() }
            #expect(failure?.status == .usage)
            #expect(
                failure?.description == """
                    several are running here; choose one of them:
                      --admin unix:\(folder)/culvert/client-a%2Fb.sock  (client a/b)
                      --admin unix:\(folder)/culvert/client.sock  (client)
                      --admin unix:\(folder)/culvert/server.sock  (server)
                    """
            )
            let server = try search(folder).only(needsServer: true)
            #expect(server == "\(folder)/culvert/server.sock")
        }
    }

    @Test("Without a socket the error says where it was looked for")
    func none() async throws {
        try await with([]) { folder in
            let failure = #expect(throws: Failure.self) { try search(folder).only() }
            #expect(failure?.status == .unreachable)
            #expect(
                failure?.description == "no running server or client found in \(folder)/none, \(folder)/culvert; "
                    + "start one, or give its socket with --admin unix:/PATH"
            )
        }
    }

    @Test("Folders of further units, beside the system's one, are searched too")
    func units() async throws {
        try await with(["client.sock"]) { folder in
            let link = "\(folder)/none-client"
            try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: "\(folder)/culvert")
            let search = AdminSocketSearch(StandardSocket([:]), systemFolder: "\(folder)/none")
            #expect(try search.only() == "\(link)/client.sock")
        }
    }
}
