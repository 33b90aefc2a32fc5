import ArgumentParser

/// Two small programs for conformance tests of the WebSocket module: a server and a client that echo messages. The
/// client speaks the protocol of the Autobahn|Testsuite. They are not part of the product: nothing is authenticated or
/// limited.
@main
struct WebSocketEcho: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "websocket-echo",
        abstract: "Echoes WebSocket messages for the Autobahn|Testsuite.",
        subcommands: [ServerCommand.self, ClientCommand.self]
    )
}
