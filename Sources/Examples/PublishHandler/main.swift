// Publishes an HTTP handler of this program at a Culvert server, through the proxy of the environment if it names one:
// CULVERT_TOKEN=... https_proxy=http://proxy:3128 swift run publish-handler wss://tunnel.example
import Foundation
import Logging
import Mux
import NIOCore
import NIOHTTP1
import ProxyConnect
import Tunnel

final class Hello: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard case .end = unwrapInboundIn(data) else { return }
        context.write(wrapOutboundOut(.head(.init(version: .http1_1, status: .ok))), promise: nil)
        context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(string: "hello from inside\n")))), promise: nil)
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
    }
}

let service = InProcessService(name: "hello") { channel in
    channel.eventLoop.makeCompletedFuture {
        try channel.pipeline.syncOperations.configureHTTPServerPipeline()
        try channel.pipeline.syncOperations.addHandler(Hello())
    }
}
let environment = ProcessInfo.processInfo.environment
let server = try EndpointURL(CommandLine.arguments.dropFirst().first ?? "ws://127.0.0.1:8080")
var configuration = ClientConfiguration(
    endpoints: [server],
    tunnels: [TunnelSpec(port: 0, to: .inProcess(service))],
    token: try environment["CULVERT_TOKEN"].map { try Token($0) },
    instance: ClientInstance.identity(name: "hello")
)
configuration.proxies = try ProxyEnvironment(environment).choices(for: [server])
try await Client(configuration, logger: Logger(label: "hello")) { print($0) }.run()
