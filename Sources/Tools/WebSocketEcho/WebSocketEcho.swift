import ArgumentParser

/// Two small programs around the WebSocket module, for tests of conformance: a server that echoes messages, and a
/// client that does and speaks the protocol of the Autobahn|Testsuite. Not part of the product: nothing is
/// authenticated, and nothing is limited.
@main
struct WebSocketEcho: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "websocket-echo",
        abstract: "Echoes WebSocket messages, as the Autobahn|Testsuite asks for.",
        subcommands: [ServerCommand.self, ClientCommand.self]
    )
}
