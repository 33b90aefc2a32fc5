import Mux

/// What the session wants done, given to the streams' pipes and to the role.
extension SessionLoop {
    func perform(_ action: SessionAction) {
        switch action {
        case .deliver(let id, let bytes):
            guard let pipe = streams[id] else { return }
            if pipe.deliver(bytes) { streams.needsFlush(pipe) }
            if flushPolicy.flushesSockets(streams.unflushedCount) { flushSockets() }
        case .end(let id):
            guard let pipe = streams[id] else { return }
            if pipe.endOutput() { streams.needsFlush(pipe) }
        case .blocked(let id):
            streams[id]?.pauseReading()
        case .sendable(let id):
            streams[id]?.resumeReading()
        case .accepted:
            break
        case .closed(let id):
            streams.remove(id)?.detach()
        case .reset(let id, let code):
            guard let pipe = streams[id] else { return }
            // A stream whose bytes wait for the socket stays: its memory may be needed before the socket takes them.
            if !session.holds(id) { streams[id] = nil }
            pipe.reset(code)
        case .abort(let id, let code):
            streams.remove(id)?.abort(code)
        case .roomChanged:
            roomHasChanged = true
        case .answered:
            if let time = session.roundTrip { metrics.roundTrip.record(duration: time) }
            probes.answer(true)
        case .goingAway(let reason):
            peerReason = reason
            owner?.common.session(self, goingAway: reason)
        case .bind, .numbersRunOut:
            guard case .server(let owner)? = owner else { return }
            perform(action, for: owner)
        case .bound, .unbound, .open, .renew:
            guard case .client(let owner)? = owner else { return }
            perform(action, for: owner)
        }
    }

    private func perform(_ action: SessionAction, for owner: any ServerSessionOwner) {
        switch action {
        case .bind(let request): owner.session(self, bind: request)
        case .numbersRunOut: owner.sessionNumbersRunOut(self)
        default: break
        }
    }

    private func perform(_ action: SessionAction, for owner: any ClientSessionOwner) {
        switch action {
        case .bound(let binding): owner.session(self, bound: binding)
        case .unbound(let tunnel, let refusal): owner.session(self, unbound: tunnel, refusal)
        case .renew(let seconds): owner.session(self, renewWithin: seconds)
        case .open(let id, let request):
            // To connect takes longer than to write to a few sockets.
            if flushPolicy.flushesSockets(streams.unflushedCount, connectsNext: true) { flushSockets() }
            owner.session(self, open: id, request)
        default: break
        }
    }

    func flushSockets() {
        while let pipe = streams.nextUnflushed() { pipe.flush() }
    }
}
