import Mux
import NIOCore
import TunnelCore

/// A client's carrier on the way to the server of its session: this server relays the bytes of its WebSocket once that
/// server has accepted the RESUME.
///
/// It lives on the event loop of the client's connection.
final class CarrierRelay: VisitorStreamReceiver {
    private let channel: any Channel
    private let visitor: RoutedVisitor
    private var carrier: Carrier?
    private var stream: VisitorStream?
    private let onAccept: () -> Void
    private var onFailure: ((StreamFailure) -> Void)?

    /// - Parameters:
    ///   - onAccept: called when the home has the carrier, before its bytes are relayed.
    ///   - onFailure: called if the home does not take it; the carrier is as before.
    init(
        _ carrier: Carrier,
        on channel: any Channel,
        from origin: CarrierOrigin,
        onAccept: @escaping () -> Void,
        onFailure: @escaping (StreamFailure) -> Void
    ) {
        (self.carrier, self.channel, self.onAccept, self.onFailure) = (carrier, channel, onAccept, onFailure)
        visitor = RoutedVisitor(
            description: origin.address,
            address: nil,
            publicAddress: carrier.deflate?.relayText ?? ""
        )
    }

    /// Asks the home.
    func start(to home: RouteMember) {
        let stream = VisitorStream.open(to: home, for: visitor, on: channel.eventLoop)
        stream.receiver = self
        self.stream = stream
    }

    /// The client has gone.
    func cancel() {
        stream?.reset()
        (stream, carrier, onFailure) = (nil, nil, nil)
    }

    func streamIsAccepted(_ stream: VisitorStream) {
        guard let carrier else { return }
        (self.carrier, onFailure) = (nil, nil)
        onAccept()
        carrier.disown()
        let raw = RawVisitor(carrier: stream, visitor)
        // The relay asks for each read.
        try? channel.syncOptions?.setOption(.autoRead, value: false)
        do {
            try channel.pipeline.syncOperations.addHandler(raw, position: .before(carrier))
            channel.pipeline.syncOperations.removeHandler(carrier, promise: nil)
        } catch {
            stream.reset()
            channel.close(promise: nil)
        }
    }

    func stream(_ stream: VisitorStream, failed failure: StreamFailure) {
        self.stream = nil
        let onFailure = onFailure
        (self.onFailure, carrier) = (nil, nil)
        onFailure?(failure)
    }

    func stream(_ stream: VisitorStream, received bytes: [ByteBuffer]) {}
    func streamEnded(_ stream: VisitorStream) {}
    func streamHasRoom(_ stream: VisitorStream) {}
}
