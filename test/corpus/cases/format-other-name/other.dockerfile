FROM sloop-corpus/base:1
RUN echo other > /other
