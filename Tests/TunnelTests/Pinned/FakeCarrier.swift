import Mux
import NIOCore
import TestSupport
import WebSocket

@testable import TunnelAdmin
@testable import TunnelClient
@testable import TunnelCore
@testable import TunnelServer

/// A carrier that records the frames of a session.
final class FakeCarrier: CarrierLink {
    /// The longest DATA that is recorded in full, in bytes.
    private static let longestText = 64
    /// PING, PONG and ACK.
    private static let housekeeping: Set<UInt8> = [0x30, 0x31, 0x32]

    private var waiting: [OutboundFrame] = []
    private var sent: [OutboundFrame] = []
    /// The session's call that ended the carrier: `close 1001` or `abort`.
    private(set) var end: String?
    private(set) var isDisowned = false
    private(set) weak var receiver: (any CarrierReceiver)?
    var isWritable = true
    var unsentLimit: Int?
    var retransmitted: UInt32?
    var lastBytes: CarrierTimes { CarrierTimes() }

    func admit(_ receiver: any CarrierReceiver) { self.receiver = receiver }
    func send(_ frame: OutboundFrame) { waiting.append(frame) }
    func open(_ opening: CarrierOpening) { send(opening.frame) }
    func disown() { isDisowned = true }
    func abort(_ reason: String) { end = "abort" }

    func flush() {
        sent += waiting
        waiting = []
    }

    func close(_ code: CloseCode, reason: String) {
        flush()
        end = "close \(code.rawValue)"
    }

    /// The frames since the last call of this or of ``takeSent(withHousekeeping:)``.
    func takeFrames() -> [OutboundFrame] {
        defer { sent = [] }
        return sent
    }

    /// The frames since the last call, such as `DATA 2 hello`. Consecutive DATA of one stream is joined.
    func takeSent(withHousekeeping: Bool = false) -> [String] {
        defer { sent = [] }
        var texts: [String] = []
        var data: (stream: UInt32, bytes: ByteBuffer)?
        func endData() {
            guard let (stream, bytes) = data else { return }
            let isLong = bytes.readableBytes > Self.longestText
            texts.append("DATA \(stream) \(isLong ? "of \(bytes.readableBytes)" : String(buffer: bytes))")
            data = nil
        }
        for frame in sent {
            let (type, stream) = (frame.header.type.rawValue, frame.header.stream.rawValue)
            if Self.housekeeping.contains(type), !withHousekeeping { continue }
            if type == 0x22 {
                if data?.stream != stream { endData() }
                var bytes = data?.bytes ?? ByteBuffer()
                bytes.writeImmutableBuffer(frame.payload)
                data = (stream, bytes)
            } else {
                endData()
                texts.append(text(type, stream, frame.payload))
            }
        }
        endData()
        return texts
    }

    private func text(_ type: UInt8, _ stream: UInt32, _ payload: ByteBuffer) -> String {
        let name = WireText.name(ofFrame: type) + (stream == 0 ? "" : " \(stream)")
        switch type {
        // The payload is one field: tag, length and a code of four bytes.
        case 0x24: return "\(name) code \(payload.getInteger(at: payload.readerIndex + 3, as: UInt32.self) ?? 0)"
        case 0x33: return "\(name) code \(payload.getInteger(at: payload.readerIndex + 3, as: UInt32.self) ?? 0)"
        case 0x25: return "\(name) to \(payload.getInteger(at: payload.readerIndex, as: UInt64.self) ?? 0)"
        default: return name
        }
    }
}
