"""Operations for administrators: API keys."""
