import Foundation
import HTTP1
import NIOCore
import TestSupport

/// ``FakeAuthority`` on a port of loopback.
final class FakeAuthorityServer: Sendable {
    let ca: FakeAuthority
    private let service: TCPService

    init(_ ca: FakeAuthority) throws {
        self.ca = ca
        service = try TCPService { socket in
            var parser = RequestHeadParser()
            var buffer = ByteBuffer()
            while true {
                let bytes = try socket.receive()
                if bytes.isEmpty { return }
                buffer.writeBytes(bytes)
                guard let head = try parser.receive(&buffer) else { continue }
                let length = Int(head.fields.first("Content-Length") ?? "0") ?? 0
                while buffer.readableBytes < length {
                    let more = try socket.receive()
                    if more.isEmpty { return }
                    buffer.writeBytes(more)
                }
                let answer = ca.answer(head.method, head.target, Array(buffer.readableBytesView.prefix(length)))
                // A status below 100 stands for a connection that breaks off.
                guard answer.status >= 100 else { return }
                var fields = answer.fields
                try fields.append("Content-Length", "\(answer.body.count)")
                var reply = ByteBuffer()
                try ResponseHead(status: answer.status, fields: fields).serialize(into: &reply)
                if head.method != "HEAD" { reply.writeBytes(answer.body) }
                try socket.send(Array(reply.readableBytesView))
                try socket.finishSending()
                _ = try socket.receiveToEnd()
                return
            }
        }
        ca.move(to: "http://127.0.0.1:\(service.port)")
    }

    var directory: String { ca.directory }
}
