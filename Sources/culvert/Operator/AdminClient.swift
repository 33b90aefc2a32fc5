import HTTP1
import NIOCore
import NIOPosix
import Tunnel

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Sends one request to a running role over its admin socket, and reads the answer.
struct AdminClient {
    /// The limit of an answer in bytes. 64 MiB: more than the status of a thousand sessions with a hundred visitors
    /// each.
    static let maximumBody = 67_108_864
    static let timeout = TimeAmount.seconds(10)

    let path: String

    /// Sends a request.
    ///
    /// - Returns: the body of a 200.
    /// - Throws: ``Failure`` with a remedy, and 69 if nothing answers.
    func ask(_ method: String, _ target: String) async throws(Failure) -> Data {
        let answer: (status: Int, body: [UInt8])
        do {
            answer = try await exchange(method, target)
        } catch let failure as Failure {
            throw failure
        } catch {
            throw noAnswer(error)
        }
        guard answer.status == 200 else {
            var text = String(decoding: answer.body.prefix(200), as: UTF8.self)
            while text.last?.isWhitespace == true { text.removeLast() }
            throw Failure(.unreachable, "unix:\(path) answered \(answer.status): \(text.escapedForDisplay())")
        }
        return Data(answer.body)
    }

    private func exchange(_ method: String, _ target: String) async throws -> (status: Int, body: [UInt8]) {
        let group = MultiThreadedEventLoopGroup.singleton
        let promise = group.any().makePromise(of: (status: Int, body: [UInt8]).self)
        let channel: any Channel
        do {
            channel = try await ClientBootstrap(group: group)
                .connectTimeout(Self.timeout)
                .channelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try channel.pipeline.syncOperations.addHandler(
                            AnswerReader(limit: Self.maximumBody, promise: promise)
                        )
                    }
                }
                .connect(unixDomainSocketPath: path).get()
        } catch {
            promise.fail(error)
            throw error
        }
        let timeout = channel.eventLoop.scheduleTask(in: Self.timeout) { channel.close(promise: nil) }
        defer { timeout.cancel() }
        let fields = try HeaderFields([("Host", "localhost"), ("Content-Length", "0"), ("Connection", "close")])
        var request = ByteBuffer()
        try RequestHead(method: method, target: target, fields: fields).serialize(into: &request)
        channel.writeAndFlush(request, promise: nil)
        return try await promise.futureResult.get()
    }

    private func noAnswer(_ error: any Error) -> Failure {
        let reason: String
        switch (error as? IOError)?.errnoCode {
        case ENOENT?: reason = "there is no such socket"
        case ECONNREFUSED?: reason = "nothing listens there"
        case EACCES?, EPERM?: reason = "permission denied; run this command as the same user"
        default: reason = error.userDescription
        }
        return Failure(
            .unreachable,
            "nothing answers at unix:\(path) (\(reason)); start the server or client with --admin unix:\(path), or "
                + "give its socket with --admin"
        )
    }
}

/// Collects an answer until the connection ends.
private final class AnswerReader: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private struct Incomplete: Error, CustomStringConvertible {
        let description: String
    }

    private let limit: Int
    private let promise: EventLoopPromise<(status: Int, body: [UInt8])>
    private var parser = ResponseHeadParser()
    private var head: ResponseHead?
    private var body: [UInt8] = []

    init(limit: Int, promise: EventLoopPromise<(status: Int, body: [UInt8])>) {
        self.limit = limit
        self.promise = promise
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        do {
            if head == nil { head = try parser.receive(&bytes) }
        } catch {
            return end(context, .failure(error))
        }
        body += bytes.readableBytesView
        if body.count > limit { end(context, .failure(Incomplete(description: "the answer is too long"))) }
    }

    func channelInactive(context: ChannelHandlerContext) {
        guard let head, body.count == head.fields.first("Content-Length").flatMap({ Int($0) }) else {
            return promise.fail(Incomplete(description: "the answer ended in the middle"))
        }
        promise.succeed((head.status, body))
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        end(context, .failure(error))
    }

    private func end(_ context: ChannelHandlerContext, _ result: Result<(status: Int, body: [UInt8]), any Error>) {
        promise.completeWith(result)
        context.close(promise: nil)
    }
}
